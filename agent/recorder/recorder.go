// Package recorder keeps what the agent measured and decided on disk, in a ring that is
// bounded in bytes and age.
//
// A recording is a folder of segments of ten minutes. Each segment is a tar file, which
// every tar program opens, with these entries; times are UTC:
//
//	current/20261128T134005.000Z.csv   the samples of some seconds, amperes
//	state/20261128T134005.000Z.jsonl   the published state of each second
//	event/20261128T134005.000Z.jsonl   events
//	crop/20261128T134001.234Z.png      what the model saw, without loss
//	view/20261128T134001.310Z.jpg      the whole picture
//
// Beside a complete segment stands its summary, a JSON file of the same name. Both are
// appended to or replaced only, so a power cut costs the last seconds: entries carry a
// CRC, an incomplete end is cut off at the next start, and a missing summary is made
// again from its segment.
//
// One goroutine uses the disk. Neither the methods nor the end of Run wait for it for long:
// what a full queue cannot take is dropped and counted, and a disk that hangs is left to
// itself. Who records next into the folder waits until the disk has answered.
package recorder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"meltwatch/agent/message"
	"meltwatch/drivers"
	"meltwatch/durable"
	"meltwatch/retry"
	"meltwatch/tick"
)

// Settings configure a Recorder.
type Settings struct {
	// Files is the folder of the recording.
	Files durable.Files
	// Lock keeps other programs from recording into the folder until it is closed; it may
	// be nil.
	Lock func() (io.Closer, error)
	// MaxBytes bounds all segments together, MaxAge those that are not kept.
	MaxBytes int64
	MaxAge   time.Duration
	// Free returns the free bytes of the disk; the ring shrinks while less than MinFree
	// is left. It may be nil.
	Free    func() (int64, error)
	MinFree int64
	// Synced reports whether the wall clock is right, so that ages count; nil means yes.
	Synced func() bool
	// Wall is the wall-clock time at an instant.
	Wall     func(time.Time) time.Time
	Log      *slog.Logger
	Observer Observer
	// Turn, unless nil, has room for one: it is held by the recorder that uses the disk, of
	// all that one program has had.
	Turn chan struct{}
}

// Observer receives the recorder's status.
type Observer interface {
	Beat()
	OK()
	Fault(error)
	Count(map[string]uint64)
}

const (
	// segmentLength is how long a segment is.
	segmentLength = 10 * time.Minute
	// maxSegment bounds a segment, in bytes.
	maxSegment = 64 << 20
	// flushEvery is the interval at which the disk gets what was recorded: a power cut
	// loses at most this much.
	flushEvery = 4 * time.Second
	// keepAround is how much is kept before and after an alarm, a fault or a mark.
	keepAround = 10 * time.Minute
	// maxWaiting bounds the queue: a minute of samples, states and pictures; maxWaitingBytes
	// bounds the pictures in it.
	maxWaiting      = 512
	maxWaitingBytes = 16 << 20
	// retryAfter is the wait after the disk refused.
	retryAfter = 10 * time.Second
	// closing bounds the wait for the disk at the end of Run.
	closing = 5 * time.Second
)

// Second is one decided second.
type Second struct {
	// Decided is when it was decided.
	Decided time.Time
	State   message.State
	// Frame is the newest frame as the model saw it; its Number is 0 without one.
	Frame drivers.Frame
}

// Recorder records. Its methods are safe for concurrent use.
type Recorder struct {
	Settings
	queue   chan record
	waiting atomic.Int64 // bytes of the pictures in the queue
	dropped atomic.Uint64
	written atomic.Uint64 // bytes
}

// record is something to write, of some bytes.
type record struct {
	bytes int64
	write func(*writer)
}

// New returns a recorder. It starts nothing.
func New(s Settings) *Recorder {
	if s.Turn == nil {
		s.Turn = make(chan struct{}, 1)
	}
	return &Recorder{Settings: s, queue: make(chan record, maxWaiting)}
}

// Sample records one reading, also one that is missing.
func (r *Recorder) Sample(s drivers.Sample) {
	s.Time = r.Wall(s.Time)
	r.offer(0, func(w *writer) { w.sample(s) })
}

// Second records a decision, with the frame that it used.
func (r *Recorder) Second(s Second) {
	s.Decided, s.Frame.Time = r.Wall(s.Decided), r.Wall(s.Frame.Time)
	r.offer(len(s.Frame.Pixels), func(w *writer) { w.second(s) })
}

// View records the whole picture, a JPEG taken at an instant.
func (r *Recorder) View(at time.Time, jpeg []byte) {
	at = r.Wall(at)
	r.offer(len(jpeg), func(w *writer) { w.picture(View, at, jpeg) })
}

// Event records an event. What is recorded around an alarm or a fault is kept.
func (r *Recorder) Event(e message.Event) {
	r.offer(len(e.Cause), func(w *writer) { w.event(e) })
}

// Written is how many bytes this recorder has written.
func (r *Recorder) Written() uint64 { return r.written.Load() }

func (r *Recorder) offer(bytes int, write func(*writer)) {
	one := record{int64(bytes), write}
	if r.waiting.Add(one.bytes) <= maxWaitingBytes {
		select {
		case r.queue <- one:
			return
		default:
		}
	}
	r.waiting.Add(-one.bytes)
	r.dropped.Add(1)
	r.Observer.Fault(errSlow)
	r.count()
}

// taken tells that a record has left the queue.
func (r *Recorder) taken(one record) record {
	r.waiting.Add(-one.bytes)
	return one
}

var errSlow = errors.New("paths.recordings: the disk does not keep up, so some of the recording is missing; use a faster disk or set recorder.enabled to false")

func (r *Recorder) count() {
	r.Observer.Count(map[string]uint64{"dropped": r.dropped.Load(), "bytes_written": r.written.Load()})
}

// Run records until ctx ends. A disk that refuses is tried again. If the disk hangs at the
// end, Run returns without it, and who records next waits until it has answered.
func (r *Recorder) Run(ctx context.Context) error {
	if !r.await(ctx) {
		return ctx.Err()
	}
	ended := make(chan struct{})
	go func() { defer close(ended); r.run(ctx); <-r.Turn }()
	<-ctx.Done()
	timeout := time.NewTimer(closing)
	defer timeout.Stop()
	select {
	case <-ended:
	case <-timeout.C:
		r.Observer.Fault(errHanging)
		r.Log.Error("recorder ended without its disk", "waited", closing, "err", errHanging)
	}
	return ctx.Err()
}

var errHanging = errors.New("paths.recordings: the disk does not answer; check the disk, its cable or its server: nothing is recorded until it answers")

// await waits for the turn to use the disk, and drops what arrives meanwhile. It returns
// false if ctx ends before.
func (r *Recorder) await(ctx context.Context) bool {
	select {
	case r.Turn <- struct{}{}: // the usual case
		return true
	default:
	}
	r.Observer.Fault(errHanging)
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case r.Turn <- struct{}{}:
			return true
		case one := <-r.queue:
			r.taken(one)
			r.dropped.Add(1)
		case <-tick.C:
			r.Observer.Beat()
			r.count()
		}
	}
}

// run records until ctx ends.
func (r *Recorder) run(ctx context.Context) {
	faults := &retry.Faults{Log: r.Log}
	for {
		err := r.record(ctx, faults)
		if ctx.Err() != nil {
			return
		}
		r.Observer.Fault(err)
		faults.Report(fmt.Errorf("not recording: %w", err))
		if !r.discardFor(ctx, retryAfter) {
			return
		}
	}
}

// discardFor drops what arrives for a while: the disk cannot take it, and memory must not
// grow.
func (r *Recorder) discardFor(ctx context.Context, wait time.Duration) bool {
	end := time.NewTimer(wait)
	defer end.Stop()
	for {
		r.Observer.Beat()
		select {
		case <-ctx.Done():
			return false
		case <-end.C:
			r.count()
			return true
		case one := <-r.queue:
			r.taken(one)
			r.dropped.Add(1)
		}
	}
}

// record writes until ctx ends or the disk refuses, while no other program does.
func (r *Recorder) record(ctx context.Context, faults *retry.Faults) error {
	if r.Lock == nil {
		return r.write(ctx, faults)
	}
	lock, err := r.Lock()
	if err != nil {
		return fmt.Errorf("paths.recordings: another program records there; give each a folder of its own: %w", err)
	}
	return errors.Join(r.write(ctx, faults), lock.Close())
}

func (r *Recorder) write(ctx context.Context, faults *retry.Faults) error {
	w, err := openWriter(r.Settings)
	if err != nil {
		return err
	}
	round := tick.New(flushEvery)
	defer round.Stop()
	for {
		select {
		case <-ctx.Done():
			r.drain(w)
			err := errors.Join(w.flush(), w.closeSegment(), ctx.Err())
			r.written.Store(w.written)
			return err
		case one := <-r.queue:
			r.taken(one).write(w)
		case <-round.C:
			round.Next()
			r.Observer.Beat()
			if err := w.flush(); err != nil {
				w.abandon()
				r.dropped.Add(w.unwritten)
				r.count()
				return err
			}
			r.written.Store(w.written)
			r.count()
			if len(r.queue) < maxWaiting/2 {
				r.Observer.OK()
				faults.Over()
			}
		}
	}
}

func (r *Recorder) drain(w *writer) {
	for {
		select {
		case one := <-r.queue:
			r.taken(one).write(w)
		default:
			return
		}
	}
}
