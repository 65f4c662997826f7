package modbus

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	wire "github.com/goburrow/modbus"

	"meltwatch/config"
)

// line is one connection and its manners. One goroutine uses it.
type line struct {
	address address
	framing framing
	dial    func(context.Context, address) (stream, error)
	// settle is the wait after connecting, gap the least rest between a reply
	// and the next request.
	settle, gap time.Duration

	stream stream // nil while closed
	// release takes back the order to close the stream when the context ends.
	release func() bool
	// ready is when the next request may go out.
	ready time.Time
	// timeout bounds the exchange under way; sent is when its request went out.
	timeout time.Duration
	sent    time.Time
}

// open connects within the timeout. The stream is closed when ctx ends, which
// cuts whatever read is under way.
func (l *line) open(ctx context.Context, timeout time.Duration) error {
	dialing, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	s, err := l.dial(dialing, l.address)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	l.stream = s
	l.release = context.AfterFunc(ctx, func() { _ = s.Close() })
	l.ready = time.Now().Add(l.settle)
	return nil
}

// close is safe on a closed line. Nothing can be done about a close that fails.
func (l *line) close() {
	if l.stream == nil {
		return
	}
	l.release()
	_ = l.stream.Close()
	l.stream = nil
}

// reply is what a request brought, and when.
type reply struct {
	registers      []byte
	sent, received time.Time
}

// read makes one request of the unit. The line must be open. After any error
// that refused does not know, what comes next on the stream is unknown and the
// line must be closed.
func (l *line) read(ctx context.Context, unit byte, timeout time.Duration, r Request) (reply, error) {
	if err := sleepUntil(ctx, l.ready); err != nil {
		return reply{}, err
	}
	l.framing.address(unit)
	l.timeout = timeout
	client := wire.NewClient2(l.framing, l)
	ask := client.ReadHoldingRegisters
	if r.Function == wire.FuncCodeReadInputRegisters {
		ask = client.ReadInputRegisters
	}
	registers, err := ask(r.Address, r.Quantity)
	received := time.Now()
	l.ready = received.Add(l.gap)
	if err == nil && len(registers) != 2*int(r.Quantity) {
		err = fmt.Errorf("reply holds %d bytes of registers", len(registers))
	}
	if err != nil {
		return reply{}, fmt.Errorf("read %d registers from %d (counted from 0) by function %d: %w",
			r.Quantity, r.Address, r.Function, err)
	}
	return reply{registers, l.sent, received}, nil
}

// Send exchanges one frame; the Modbus client calls it.
func (l *line) Send(request []byte) ([]byte, error) {
	if err := l.put(request); err != nil {
		return nil, err
	}
	return l.framing.read(l.stream)
}

// put writes a request and starts the time that its reply has.
func (l *line) put(request []byte) error {
	l.sent = time.Now()
	if err := l.stream.SetDeadline(l.sent.Add(l.timeout)); err != nil {
		return fmt.Errorf("set deadline: %w", err)
	}
	if !l.framing.numbered {
		drain(l.stream)
	}
	if _, err := l.stream.Write(request); err != nil {
		return fmt.Errorf("send request: %w", err)
	}
	return nil
}

// resync makes sure that no earlier reply of the unit is still on its way. RTU
// frames carry no number: after a time-out the late reply has the shape of the
// next answer and would be taken for it, and so on for ever. So the line is
// first asked for something of another length; replies come in order, and once
// the odd one has arrived everything before it has passed.
func (l *line) resync(ctx context.Context, unit byte, timeout time.Duration, first Request) error {
	if err := sleepUntil(ctx, l.ready); err != nil {
		return err
	}
	odd := oddOne(first)
	l.framing.address(unit)
	l.timeout = timeout
	body := binary.BigEndian.AppendUint16(nil, odd.Address)
	body = binary.BigEndian.AppendUint16(body, odd.Quantity)
	request, err := l.framing.Encode(&wire.ProtocolDataUnit{FunctionCode: odd.Function, Data: body})
	if err != nil {
		return fmt.Errorf("encode request: %w", err)
	}
	if err := l.put(request); err != nil {
		return fmt.Errorf("clear the line of late replies: %w", err)
	}
	for {
		frame, err := l.framing.read(l.stream)
		if err != nil {
			return fmt.Errorf("clear the line of late replies: %w", err)
		}
		if l.answers(frame, request, odd) {
			l.ready = time.Now().Add(l.gap)
			return nil
		}
	}
}

// oddOne is a request whose answer cannot be mistaken for an answer to r: of one
// register, or of two where r itself wants one. A device that does not define
// the second refuses, which is an answer too.
func oddOne(r Request) Request {
	odd := Request{Function: r.Function, Address: r.Address, Quantity: 1}
	if r.Quantity == 1 {
		odd.Quantity = 2
		odd.Address = min(odd.Address, 0xfffe)
	}
	return odd
}

// answers reports whether the frame is the reply to the odd request.
func (l *line) answers(frame, request []byte, odd Request) bool {
	if l.framing.Verify(request, frame) != nil {
		return false
	}
	pdu, err := l.framing.Decode(frame)
	if err != nil {
		return false
	}
	if pdu.FunctionCode == odd.Function|exceptionBit {
		return true
	}
	return pdu.FunctionCode == odd.Function && len(pdu.Data) == 1+2*int(odd.Quantity)
}

// refused returns the exception by which a device declined a well-formed
// request. The stream is then still in step. The Modbus library also calls a
// reply of a wrong function an exception; that one is not.
func refused(err error, r Request) (code byte, ok bool) {
	var exception *wire.ModbusError
	if errors.As(err, &exception) && exception.FunctionCode == r.Function|exceptionBit {
		return exception.ExceptionCode, true
	}
	return 0, false
}

// sleepUntil returns at t, or early with the context's error.
func sleepUntil(ctx context.Context, t time.Time) error {
	wait := time.Until(t)
	if wait <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Read makes a single request of a meter over a connection of its own, for
// whoever wants to look at a device before it is configured. It returns the
// registers as they came over the wire, two bytes each, for Decode.
func Read(ctx context.Context, m config.Meter, r Request) ([]byte, error) {
	a, err := parseAddress(m.URL, m.Serial)
	if err != nil {
		return nil, fmt.Errorf("url: %w", err)
	}
	l := &line{address: a, framing: a.framing(), dial: dial, settle: m.Settle, gap: m.Gap}
	if err := l.open(ctx, m.Timeout); err != nil {
		return nil, err
	}
	defer l.close()
	got, err := l.read(ctx, byte(m.Unit), m.Timeout, r)
	return got.registers, err
}
