package decide

import (
	"context"
	"sync/atomic"
	"time"

	"meltwatch/agent/align"
	"meltwatch/drivers"
)

// Video is the sense of sight; the camera child's client in the agent.
type Video interface {
	// Newest returns the newest frame, its Number 0 before the first.
	Newest() (drivers.Frame, drivers.Status)
}

// Loop feeds a Judge from live senses and decides once a second.
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

// maxWaiting bounds the samples that arrive while a second is being decided; beyond
// it the newest is dropped and counted, which the window shows as a gap.
const maxWaiting = 64

// changeEvery is how soon a sense's failure is reported between two seconds.
const changeEvery = 100 * time.Millisecond

// NewLoop returns a loop that hands each decided second to report, which must
// not block.
func NewLoop(j *Decider, v Video, report func(Decision)) *Loop {
	return &Loop{decider: j, video: v, report: report, samples: make(chan drivers.Sample, maxWaiting), between: make(chan func()), ended: make(chan struct{})}
}

// Offer hands over a sample; it never blocks.
func (l *Loop) Offer(s drivers.Sample) {
	select {
	case l.samples <- s:
	default:
		l.dropped.Add(1)
	}
}

// Dropped counts samples that came while too many waited.
func (l *Loop) Dropped() uint64 { return l.dropped.Load() }

// Run decides once a second until ctx ends. It runs once.
func (l *Loop) Run(ctx context.Context) error {
	defer close(l.ended)
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	glance := time.NewTicker(changeEvery)
	defer glance.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case s := <-l.samples:
			l.sample(s)
		case f := <-l.between:
			f()
		case <-timer.C:
			end := l.decide(ctx)
			timer.Reset(next(end, time.Now()))
		case <-glance.C:
			l.reportChange()
		}
	}
}

func (l *Loop) decide(ctx context.Context) time.Time {
	l.drain()
	frame, status := l.video.Newest()
	now := time.Now()
	compare := l.beginShadow(ctx, now, frame, status)
	s := l.decider.Decide(ctx, now, frame, status)
	if ctx.Err() == nil { // a second cut short by the end of the agent is no verdict
		l.last = s
		l.report(s)
	}
	compare(s)
	return s.End
}

// reportChange reports the last second again when a sense has failed or healed since,
// so that a change is visible before the next verdict.
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

// drain takes the samples that already wait: select picks at random, and the
// second should rest on everything that has arrived.
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

// next is how long to wait for the second after the one that ended at end: until
// its window's newest sample has surely arrived, so that the verdict follows the
// sample as closely as it can. The bounds keep one verdict a second while the
// grid is being learnt.
func next(end, now time.Time) time.Duration {
	const early = 5 * time.Millisecond // past the instant, so that rounding cannot put the window before it
	wait := end.Add(time.Second + align.Settle + early).Sub(now)
	return min(max(wait, 300*time.Millisecond), 1200*time.Millisecond)
}
