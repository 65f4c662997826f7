// Package relay keeps the RTSP session with a camera and forwards its video to a
// decoder in the same process, over the loopback interface.
//
// So the decoder sees no password, no certificate and no unchecked stream. The relay
// knows exactly what the camera asks for and refuses, bounds its description, refuses a
// picture that is too large before memory is allocated for it, and ends the stream when
// the picture changes its size.
package relay

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/pion/rtp"

	"meltwatch/drivers"
	"meltwatch/drivers/rtsp/login"
	"meltwatch/drivers/rtsp/thinning"
	"meltwatch/tick"
)

const (
	// watchEvery is how often a stream is checked for silence.
	watchEvery = 100 * time.Millisecond
	// replacedAfter is how long the stream's own packets must have been missing before
	// packets of another source mean that it was replaced.
	replacedAfter = 500 * time.Millisecond
	// maxQueued bounds the packets kept until the decoder has connected, in bytes.
	maxQueued = 32 << 20
)

// Stream is one session with the camera. Its methods may be called concurrently.
type Stream struct {
	client  *gortsplib.Client
	media   *description.Media
	decoder *decoderServer
	inspect inspector
	survey  *Survey
	thinner *thinning.Thinner // used by forward alone
	keep    int

	ended  chan struct{} // closed when the stream is over
	ready  chan struct{} // closed when decoding can start
	closed sync.Once
	// running are the goroutines that Close waits for.
	running sync.WaitGroup
	once    sync.Once // closes ready

	mu           sync.Mutex
	cause        error
	size         Size
	arrived      time.Time // when the last packet came
	keyFrameSeen bool      // a key frame has begun
	stamp        uint32    // of the picture that it is, or its parameter sets before
}

// Open logs in and starts the camera's stream. The stream counts as ended when no
// packet has arrived for timeout. The decoder gets the first keep pictures of each group
// where the others can be dropped, and every picture if keep is 0. The survey is the
// session's own, also after an error.
func Open(ctx context.Context, s drivers.CameraSettings, logins *login.Ledger, timeout func() time.Duration, keep int, survey *Survey) (*Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	if err := checkReachable(ctx, s); err != nil {
		return nil, err
	}
	if err := checkLoginBudget(s, logins); err != nil {
		return nil, err
	}
	stream := &Stream{ended: make(chan struct{}), ready: make(chan struct{}), arrived: time.Now(), survey: survey, keep: keep}
	if err := stream.start(ctx, s, logins); err != nil {
		stream.Close()
		return nil, err
	}
	stream.running.Go(func() { stream.watch(timeout) })
	return stream, nil
}

func (s *Stream) start(ctx context.Context, settings drivers.CameraSettings, logins *login.Ledger) error {
	session, err := connect(ctx, settings, logins, s.survey, s.foreignPacket)
	if err != nil {
		return err
	}
	s.client, s.media = session.client, session.media
	if err := session.auth.recordOutcome(s.play(ctx, session), true); err != nil {
		return explain(err, settings)
	}
	s.running.Go(func() { s.end(explain(closedError(s.client.Wait()), settings)) })
	return nil
}

func (s *Stream) play(ctx context.Context, l *session) error {
	videoFormat := s.media.Formats[0]
	s.inspect = inspectorOf(videoFormat)
	s.thinner = thinning.New(s.keep, float64(videoFormat.ClockRate()))
	s.mu.Lock()
	s.size = described(videoFormat).size
	size := s.size
	s.mu.Unlock()
	if err := size.Check(); err != nil {
		return err
	}
	var err error
	if s.decoder, err = listen(ctx, s.media); err != nil {
		return err
	}
	s.client.OnPacketRTP(s.media, videoFormat, s.forward)
	return l.play(ctx)
}

func closedError(err error) error {
	if err == nil {
		return errors.New("closed")
	}
	return err
}

// forward forwards one packet, once a picture has begun at which decoding can start. It
// is called by one goroutine at a time.
func (s *Stream) forward(p *rtp.Packet) {
	seen := s.inspect(p.Payload)
	arrival := time.Now()
	sent, _ := s.client.PacketNTP(s.media, p)
	s.survey.packet(p, seen, arrival, sent)
	s.mu.Lock()
	s.arrived = arrival
	before := s.size
	if seen.size != (Size{}) {
		s.size = seen.size
	}
	// The first decodable picture is complete when the next one begins, or when its
	// last packet is marked.
	whole := s.keyFrameSeen && (p.Timestamp != s.stamp || p.Marker) || seen.key && p.Marker
	// Of parameter sets without a following key frame only the newest are kept.
	restarts := seen.begins && !s.keyFrameSeen && p.Timestamp != s.stamp
	if restarts {
		s.stamp = p.Timestamp
	}
	if seen.key && !s.keyFrameSeen {
		s.keyFrameSeen, s.stamp = true, p.Timestamp
	}
	size := s.size
	s.mu.Unlock()
	if err := size.Check(); err != nil {
		s.end(err)
		return
	}
	if before != (Size{}) && size != before && s.decoder.started() {
		s.end(fmt.Errorf("the camera changed its picture from %v to %v pixels; the stream is opened again", before, size))
		return
	}
	if !seen.begins && !s.decoder.started() {
		return
	}
	if restarts {
		s.decoder.discardQueue()
	}
	if err := s.pass(*p, seen, arrival); err != nil {
		s.end(fmt.Errorf("forward packet to the decoder: %w", err))
	}
	if whole {
		s.once.Do(func() { close(s.ready) })
	}
}

// pass forwards a packet, unless its picture need not be decoded.
func (s *Stream) pass(p rtp.Packet, seen packetInfo, arrival time.Time) error {
	before := s.thinner.Dropping()
	passes, skips := s.thinner.Packet(thinning.Packet{Stamp: p.Timestamp, Arrived: arrival, Sets: seen.sets, IDR: seen.idr, Other: seen.other})
	if now := s.thinner.Dropping(); now != before {
		s.survey.thinned(now)
	}
	if passes {
		p.SequenceNumber = s.thinner.Number(p.SequenceNumber)
		return s.decoder.send(&p)
	}
	if !skips {
		return nil
	}
	s.survey.skipped()
	return s.decoder.flush()
}

// foreignPacket is called for a packet that the library dropped. A camera that restarts
// its encoder within the session sends from another source, whose packets are all
// dropped: the stream is then over.
func (s *Stream) foreignPacket(err error) {
	if !strings.Contains(err.Error(), "wrong SSRC") { // the library has no error type for it
		return
	}
	s.mu.Lock()
	silence := time.Since(s.arrived)
	s.mu.Unlock()
	if silence > replacedAfter {
		s.end(errors.New("the camera began another stream within the session; it is opened again"))
	}
}

// watch ends a stream that has become silent.
func (s *Stream) watch(timeout func() time.Duration) {
	watch := tick.New(watchEvery)
	defer watch.Stop()
	for {
		select {
		case <-s.ended:
			return
		case <-watch.C:
			watch.Next()
			s.mu.Lock()
			silence := time.Since(s.arrived)
			s.mu.Unlock()
			if limit := timeout(); silence > limit {
				s.end(fmt.Errorf("the camera has sent nothing for %v", silence.Round(watchEvery)))
			}
		}
	}
}

// Ready waits for a key frame, because nothing can be decoded before. It returns false
// when most has passed without one, so that the caller can report the wait.
func (s *Stream) Ready(ctx context.Context, most time.Duration) (bool, error) {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-s.ready:
		return true, nil
	case <-s.ended:
		return false, s.Err()
	case <-ctx.Done():
		return false, ctx.Err()
	case <-timer.C:
		return false, nil
	}
}

// URL is the decoder's address of the stream; one decoder can open it, once.
func (s *Stream) URL() string { return s.decoder.url() }

// Size is the picture's size, zero while the stream has not stated it.
func (s *Stream) Size() Size {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size
}

// Err is why the stream has ended, nil while it lasts.
func (s *Stream) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cause
}

// End ends the stream; Err then returns cause, or an earlier one.
func (s *Stream) End(cause error) { s.end(cause) }

func (s *Stream) end(cause error) {
	s.mu.Lock()
	if s.cause == nil {
		s.cause = cause
	}
	s.mu.Unlock()
	s.closed.Do(func() {
		close(s.ended)
		if s.decoder != nil {
			s.decoder.close() // the decoder's read returns
		}
	})
}

// Close ends the session and waits for its goroutines.
func (s *Stream) Close() {
	s.end(errors.New("closed"))
	if s.client != nil {
		s.client.Close()
	}
	if s.decoder != nil {
		s.decoder.wait()
	}
	s.running.Wait()
}
