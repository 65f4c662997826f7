package decide

import (
	"context"
	"time"

	"meltwatch/drivers"
)

// Comparison holds the decisions of the live decider and of its shadow for one second.
type Comparison struct {
	Live, Shadow Decision
	// LiveTook and ShadowTook are the durations of the decisions.
	LiveTook, ShadowTook time.Duration
}

// shadow is a decider whose decisions are only compared. It has its own model, window
// and machine, so it cannot affect the live verdict. It runs at the same time, within
// the same timeout.
type shadow struct {
	decider *Decider
	compare func(Comparison)
}

// Shadow makes d decide beside the live decider from the next second on. d gets the
// live decider's samples. compare must not block. Call it in Do.
func (l *Loop) Shadow(d *Decider, compare func(Comparison)) {
	for _, s := range l.decider.aligner.Samples() {
		d.Sample(s)
	}
	l.shadow = &shadow{d, compare}
}

// Unshadow removes the shadow. Call it in Do.
func (l *Loop) Unshadow() { l.shadow = nil }

// Swap exchanges the live decider and its shadow between two seconds. The furnace's
// state passes to the new live decider, under its thresholds. It reports whether there
// was a shadow. Call it in Do.
func (l *Loop) Swap() bool {
	if l.shadow == nil {
		return false
	}
	l.decider, l.shadow.decider = l.shadow.decider, l.decider
	l.pending.aheadTook = 0 // it was the other model that encoded
	next, before := l.decider, l.shadow.decider
	next.machine, before.machine = before.machine, next.machine
	next.machine.SetParams(next.params)
	before.machine.SetParams(before.params)
	return true
}

// sample adds a sample to the decider and to its shadow.
func (l *Loop) sample(s drivers.Sample) {
	l.decider.Sample(s)
	if l.shadow != nil {
		l.shadow.decider.Sample(s)
	}
}

// beginShadow starts the shadow's decision. The returned function waits for it, at most
// for the shadow's timeout, and compares.
func (l *Loop) beginShadow(ctx context.Context, now, due time.Time, frame drivers.Frame, status drivers.Status) func(live Decision) {
	s := l.shadow
	if s == nil {
		return func(Decision) {}
	}
	c, decided := Comparison{}, make(chan struct{})
	earlier := l.pending.frames.earlier
	go func() {
		defer close(decided)
		c.Shadow = s.decider.DecideDue(ctx, now, due, frame, status, earlier)
		c.ShadowTook = time.Since(now)
	}()
	return func(live Decision) {
		c.Live, c.LiveTook = live, l.pending.aheadTook+time.Since(now)
		<-decided
		s.compare(c)
	}
}
