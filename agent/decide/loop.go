package decide

import (
	"context"
	"sync/atomic"
	"time"

	"meltwatch/agent/align"
	"meltwatch/drivers"
)

// Video supplies frames. In the agent it is the client of the camera child.
type Video interface {
	// Newest returns the newest frame; its Number is 0 before the first.
	Newest() (drivers.Frame, drivers.Status)
}

// Loop feeds a Decider from live senses and decides once a second.
type Loop struct {
	decider *Decider
	video   Video
	report  func(Decision)
	samples chan drivers.Sample
	dropped atomic.Uint64
	last    Decision // as reported
	between chan func()
	shadow  *shadow // nil without a candidate
	ended   chan struct{}
}

// maxWaiting bounds the samples that arrive while a second is being decided. Beyond it
// the newest is dropped and counted, and leaves a gap in the window.
const maxWaiting = 64

// changeEvery is the interval of the check for a sense's failure between two seconds.
const changeEvery = 100 * time.Millisecond

// NewLoop returns a loop that passes each decision to report, which must not block.
func NewLoop(d *Decider, v Video, report func(Decision)) *Loop {
	return &Loop{decider: d, video: v, report: report, samples: make(chan drivers.Sample, maxWaiting), between: make(chan func()), ended: make(chan struct{})}
}

// Offer queues a sample; it never blocks.
func (l *Loop) Offer(s drivers.Sample) {
	select {
	case l.samples <- s:
	default:
		l.dropped.Add(1)
	}
}

// Dropped is the number of samples that were dropped because the queue was full.
func (l *Loop) Dropped() uint64 { return l.dropped.Load() }

// Run decides once a second until ctx ends. It runs once.
func (l *Loop) Run(ctx context.Context) error {
	defer close(l.ended)
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	changes := time.NewTicker(changeEvery)
	defer changes.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case s := <-l.samples:
			l.sample(s)
		case f := <-l.between:
			f()
		case <-timer.C:
			timer.Reset(next(l.Decide(ctx).End, time.Now()))
		case <-changes.C:
			l.reportChange()
		}
	}
}

// Decide decides one second from everything that has arrived, and reports it. Run calls
// it.
func (l *Loop) Decide(ctx context.Context) Decision {
	l.drain()
	frame, status := l.video.Newest()
	now := time.Now()
	compare := l.beginShadow(ctx, now, frame, status)
	s := l.decider.Decide(ctx, now, frame, status)
	if ctx.Err() == nil { // the end of the agent may have cut the second short
		l.last = s
		l.report(s)
	}
	compare(s)
	return s
}

// reportChange reports the last decision again when a sense has failed or recovered
// since, so that the change is visible before the next verdict.
func (l *Loop) reportChange() {
	_, video := l.video.Newest()
	current, cause := l.decider.current.status(time.Now())
	if l.last.End.IsZero() || video == l.last.Video && current == l.last.Current {
		return
	}
	l.last.Video, l.last.Current, l.last.CurrentCause = video, current, cause
	l.last.Status.Changed, l.last.Status.Restarted = false, false
	l.report(l.last)
}

// drain takes all waiting samples: select picks at random, but a decision should use
// everything that has arrived.
func (l *Loop) drain() {
	for {
		select {
		case s := <-l.samples:
			l.sample(s)
		default:
			return
		}
	}
}

// next is the wait before the second after the one that ended at end. The newest sample
// of its window has then arrived, and the verdict follows it as soon as possible. The
// bounds keep one verdict a second while the grid is being estimated.
func next(end, now time.Time) time.Duration {
	const early = 5 * time.Millisecond // past the instant, so that rounding cannot put the window before it
	wait := end.Add(time.Second + align.Settle + early).Sub(now)
	return min(max(wait, 300*time.Millisecond), 1200*time.Millisecond)
}
