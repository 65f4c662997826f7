package modbus

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"syscall"
	"time"

	wire "github.com/goburrow/modbus"

	"meltwatch/config"
	"meltwatch/retry"
)

// line is one connection. One goroutine uses it.
type line struct {
	address address
	framing framing
	dial    func(context.Context, address) (stream, error)
	// settle is the wait after connecting, gap the least time between a reply and the
	// next request.
	settle, gap time.Duration

	stream stream // nil while closed
	input  *input // of the stream; nil before the first look at it
	// release cancels the closing of the stream at the end of the context.
	release func() bool
	// ready is when the next request may be sent.
	ready time.Time
	// replies counts those since the stream was opened; excess is set when more bytes
	// followed the last one.
	replies int
	excess  bool
	// hangups counts consecutive connections that the other end closed after one answer.
	hangups int
	// dialed is set once the line has been open, redials counts attempts after that,
	// and redial grows while it cannot be opened.
	dialed  bool
	redials uint64
	redial  backoff
	quirks  quirks

	// body and pdu are the request's, seen is what was received since it was sent. All are
	// reused by the next request.
	body [4]byte
	pdu  wire.ProtocolDataUnit
	seen []byte
}

// reply is the answer to a request, and its times.
type reply struct {
	registers      []byte // valid until the line's next request
	sent, received time.Time
}

// connectError means that the line could not be opened.
type connectError struct{ error }

func (e connectError) Unwrap() error { return e.error }

// Unreachable reports whether a poll failed because no connection could be opened.
func Unreachable(err error) bool {
	var connecting connectError
	return errors.As(err, &connecting)
}

// hangup means that the other end closed the connection before the first byte of the
// reply.
type hangup struct{ error }

func (e hangup) Unwrap() error { return e.error }

// open connects within the timeout. The stream is closed when ctx ends, which
// interrupts a pending read.
func (l *line) open(ctx context.Context, timeout time.Duration) error {
	if l.dialed {
		l.redials++
	}
	dialing, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	s, err := l.dial(dialing, l.address)
	if err != nil {
		l.redial.fail(time.Now())
		return connectError{fmt.Errorf("connect: %w", err)}
	}
	l.redial.reset()
	l.dialed = true
	l.stream, l.input, l.replies, l.excess = s, nil, 0, false
	l.release = context.AfterFunc(ctx, func() { _ = s.Close() })
	l.ready = time.Now().Add(l.settle)
	return nil
}

// close has no effect on a closed line. A failed close is ignored, since the stream is
// given up anyway.
func (l *line) close() {
	if l.stream == nil {
		return
	}
	l.release()
	_ = l.stream.Close()
	l.stream = nil
}

// read makes one request to the unit, and connects first if necessary. After any
// error other than a refusal the state of the stream is unknown, and the line is
// closed.
func (l *line) read(ctx context.Context, unit byte, timeout time.Duration, r request) (reply, error) {
	got, err := l.request(ctx, unit, timeout, r)
	if err == nil {
		return got, nil
	}
	if _, ok := exceptionCode(err); !ok {
		l.close()
	}
	if !Unreachable(err) {
		err = fmt.Errorf("read %d %s from %d (counted from 0) by function %d: %w", r.Quantity, r.objects(), r.Address, r.Function, err)
	}
	return got, err
}

// request sends a request and receives its reply. It repeats the request over a new
// connection if the other end closed the old one: some gateways close after each
// answer, others when idle.
func (l *line) request(ctx context.Context, unit byte, timeout time.Duration, r request) (reply, error) {
	l.dropStale()
	if l.stream == nil {
		if err := l.open(ctx, timeout); err != nil {
			return reply{}, err
		}
	}
	got, err := l.exchange(ctx, unit, timeout, r)
	if err == nil || !isHangup(err) || l.replies == 0 || ctx.Err() != nil {
		return got, err
	}
	l.handleHangup()
	if err := l.open(ctx, timeout); err != nil {
		return reply{}, err
	}
	return l.exchange(ctx, unit, timeout, r)
}

// hangupThreshold is how often a connection must end after a single answer before the line
// closes it after each answer itself.
const hangupThreshold = 2

// handleHangup closes a line that the other end has closed.
func (l *line) handleHangup() {
	if l.replies == 1 {
		l.hangups++
	} else {
		l.hangups = 0
	}
	if l.hangups >= hangupThreshold {
		l.quirks.add("the connection is closed after each answer, and reopened for each request")
	}
	l.close()
}

// dropStale closes a connection that cannot serve the next request: the other end has
// closed it, or has sent more than its last answer.
func (l *line) dropStale() {
	if l.stream == nil || l.replies == 0 {
		return
	}
	switch {
	case l.arrived().ended(), l.hangups >= hangupThreshold:
		l.handleHangup()
	case l.framing.numbered && l.excess:
		l.close()
	}
}

// arrived looks at the stream's input.
func (l *line) arrived() *input {
	if l.input == nil {
		l.input = newInput(l.stream)
	}
	return l.input
}

// exchange makes one request over the open line.
func (l *line) exchange(ctx context.Context, unit byte, timeout time.Duration, r request) (reply, error) {
	if err := sleepUntil(ctx, l.ready); err != nil {
		return reply{}, err
	}
	req, err := l.frame(unit, r)
	if err != nil {
		return reply{}, err
	}
	sent, err := l.send(req, timeout)
	if err != nil {
		return reply{}, err
	}
	pdu, err := l.receive(req, timeout)
	received := time.Now()
	l.ready = received.Add(l.gap)
	if err != nil {
		return reply{}, err
	}
	// Otherwise each deadline wakes the processor, though the reply is there. A stream that is
	// closed meanwhile fails the next request.
	_ = l.stream.SetDeadline(time.Time{})
	l.replies++
	if pdu[0] == r.Function|exceptionBit {
		return reply{}, &wire.ModbusError{FunctionCode: pdu[0], ExceptionCode: pdu[1]}
	}
	return reply{pdu[2:], sent, received}, nil
}

func (l *line) frame(unit byte, r request) (framedRequest, error) {
	binary.BigEndian.PutUint16(l.body[:], r.Address)
	binary.BigEndian.PutUint16(l.body[2:], r.Quantity)
	l.pdu = wire.ProtocolDataUnit{FunctionCode: r.Function, Data: l.body[:]}
	frame, err := l.framing.encode(unit, &l.pdu)
	if err != nil {
		return framedRequest{}, fmt.Errorf("encode request: %w", err)
	}
	return framedRequest{r, unit, frame}, nil
}

// send writes a request and starts the timeout of its reply.
func (l *line) send(req framedRequest, timeout time.Duration) (sent time.Time, err error) {
	sent = time.Now()
	if err := l.stream.SetDeadline(sent.Add(timeout)); err != nil {
		return sent, asHangup(fmt.Errorf("set deadline: %w", err))
	}
	if !l.framing.numbered {
		l.arrived().discard()
	}
	if _, err := l.stream.Write(req.adu); err != nil {
		return sent, asHangup(fmt.Errorf("send request: %w", err))
	}
	return sent, nil
}

// maxChunk bounds the bytes that are received at a time.
const maxChunk = 256

// maxReceived bounds the bytes that are searched for one reply: several frames of the
// largest size.
const maxReceived = 2048

// receive reads until the reply arrives, and skips what precedes it. The error
// describes what arrived instead.
func (l *line) receive(req framedRequest, timeout time.Duration) ([]byte, error) {
	l.seen = l.seen[:0]
	from := 0
	for {
		l.seen = slices.Grow(l.seen, maxChunk)
		n, err := l.stream.Read(l.seen[len(l.seen) : len(l.seen)+maxChunk])
		l.seen = l.seen[:len(l.seen)+n]
		seen := l.seen
		found, misfit := l.framing.find(req, seen, from)
		if misfit != nil {
			return nil, misfit
		}
		if found.pdu != nil {
			l.accept(req, seen, found)
			return found.pdu, nil
		}
		from = found.begin
		if len(seen) > maxReceived {
			return nil, fmt.Errorf("%d bytes without a valid answer: %s", len(seen), l.framing.classify(req, seen))
		}
		if err != nil {
			return nil, l.noReply(req, seen, timeout, err)
		}
	}
}

// accept records the quirks of a valid reply.
func (l *line) accept(req framedRequest, seen []byte, found match) {
	if l.excess = len(seen) > found.end; l.excess && l.framing.numbered {
		l.quirks.add("more than the answer comes, and the connection is reopened")
	}
	if found.quirk != "" {
		l.quirks.add(found.quirk)
	}
	for _, what := range l.framing.classify(req, seen[:found.begin]).kinds {
		l.quirks.add("read past " + what)
	}
}

// noReply is the error of a missing reply.
func (l *line) noReply(req framedRequest, seen []byte, timeout time.Duration, err error) error {
	late := errors.Is(err, os.ErrDeadlineExceeded)
	switch {
	case len(seen) > 0 && late:
		return fmt.Errorf("no valid answer within %s, but %s", timeout, l.framing.classify(req, seen))
	case len(seen) > 0:
		return fmt.Errorf("no valid answer before the connection ended, but %s", l.framing.classify(req, seen))
	case late:
		return fmt.Errorf("no answer within %s: %w", timeout, os.ErrDeadlineExceeded)
	default:
		return asHangup(fmt.Errorf("the connection ended before an answer came: %w", err))
	}
}

// isHangup reports whether the other end closed the connection before it answered.
func isHangup(err error) bool {
	var closed hangup
	return errors.As(err, &closed)
}

// asHangup marks the errors that indicate a closed connection.
func asHangup(err error) error {
	for _, sign := range []error{io.EOF, io.ErrClosedPipe, syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNABORTED} {
		if errors.Is(err, sign) {
			return hangup{err}
		}
	}
	return err
}

// refused returns the exception by which a device declined a well-formed
// request. The stream is then still in step.
func exceptionCode(err error) (code byte, ok bool) {
	if err == nil {
		return 0, false
	}
	var exception *wire.ModbusError
	if errors.As(err, &exception) {
		return exception.ExceptionCode, true
	}
	return 0, false
}

// sleepUntil returns at t, or early with the context's error.
func sleepUntil(ctx context.Context, t time.Time) error {
	if wait := time.Until(t); wait > 0 {
		retry.Sleep(ctx, wait)
	}
	return ctx.Err()
}

// newLine prepares the line that the meters share.
func newLine(meters ...config.Meter) (*line, error) {
	a, err := parseAddress(meters[0].URL, meters[0].Serial)
	if err != nil {
		return nil, fmt.Errorf("url: %w", err)
	}
	return &line{address: a, framing: a.framing(), dial: dial, settle: config.LineSettle(meters...), gap: config.LineGap(meters...)}, nil
}

// maxQuirks bounds the quirks of a line: a device that keeps sending new garbage must
// not fill memory or log.
const maxQuirks = 16

// quirks lists the unusual behaviour of a line and its devices; each is logged once.
type quirks struct {
	known      []string
	unreported int // how many, at the end of known, have not been logged
}

func (q *quirks) add(what string) {
	for _, known := range q.known {
		if known == what {
			return
		}
	}
	if len(q.known) < maxQuirks {
		q.known = append(q.known, what)
		q.unreported++
	}
}
