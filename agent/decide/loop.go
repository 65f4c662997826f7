package decide

import (
	"context"
	"sync/atomic"
	"time"

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
	pending pending // what the next second waits for
}

// maxWaiting bounds the samples that arrive while a second is being decided: those of a
// second of the quickest meter. Beyond it the newest is dropped and counted, and leaves a
// gap in the window.
const maxWaiting = 128

// changeEvery is the interval of the check for a sense's failure between two seconds. It is
// made up to changeSlack sooner or later if the loop runs then anyway, for a sample.
const (
	changeEvery = 100 * time.Millisecond
	changeSlack = 20 * time.Millisecond
)

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
	l.pending.begin(time.Now())
	l.pending.due = time.Now().Add(time.Second)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for checked := time.Now(); ; {
		now := time.Now()
		wait := l.wait(now)
		if wait <= 0 {
			l.decide(ctx, l.pending.due)
			l.begin(time.Now())
			if ctx.Err() != nil {
				return nil
			}
			continue
		}
		if l.encodeAhead(ctx, now) {
			continue
		}
		if now.Sub(checked) >= changeEvery-changeSlack {
			checked = now
			l.reportChange()
		}
		timer.Reset(min(wait, l.nextCheck(checked).Sub(now)))
		select {
		case <-ctx.Done():
			return nil
		case s := <-l.samples:
			l.sample(s)
		case f := <-l.between:
			f()
		case <-timer.C:
		case <-l.pending.answer:
			l.pending.answered()
		}
	}
}

// nextCheck is when the senses must be checked again if no sample comes before. Each sample wakes
// the loop anyway, so without a camera only a missing sample needs a timer.
func (l *Loop) nextCheck(checked time.Time) time.Time {
	next := checked.Add(changeEvery + changeSlack)
	if newest, _ := l.video.Newest(); newest.Number > 0 {
		return next
	}
	if fails := l.decider.current.fails(); fails.After(next) {
		return fails
	}
	return next
}

// Decide decides the second that is due now from everything that has arrived, and reports
// it.
func (l *Loop) Decide(ctx context.Context) Decision { return l.decide(ctx, time.Now()) }

// decide decides the second that is due at an instant. A second that is late ends as late
// as if it had been due now.
func (l *Loop) decide(ctx context.Context, due time.Time) Decision {
	l.drain()
	frame, status := l.video.Newest()
	l.pending.frames.note(frame, status)
	now := time.Now()
	if due.Before(now) {
		due = now
	}
	frame = l.frameOf(frame, due)
	compare := l.beginShadow(ctx, now, due, frame, status)
	s := l.decider.DecideDue(ctx, now, due, frame, status, l.pending.frames.earlier)
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
	newest, video := l.video.Newest()
	l.pending.frames.note(newest, video)
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
