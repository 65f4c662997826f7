package decide

import (
	"context"
	"time"

	"meltwatch/drivers"
)

// Comparison is one second, decided by the judge that counts and by its shadow.
type Comparison struct {
	Live, Shadow Decision
	// LiveTook and ShadowTook are how long each needed.
	LiveTook, ShadowTook time.Duration
}

// shadow is a judge that decides every second too and is only compared. It has
// its own model, window and machine, so nothing that it does can touch the live
// verdict; it runs beside it, within the same bound of time.
type shadow struct {
	decider *Decider
	compare func(Comparison)
}

// Shadow has j decide beside the live judge from the next second on, with the
// current that the live one has seen; compare must not block. Call it in Do.
func (l *Loop) Shadow(j *Decider, compare func(Comparison)) {
	for _, s := range l.decider.aligner.Samples() {
		j.Sample(s)
	}
	l.shadow = &shadow{j, compare}
}

// Unshadow lets the shadow go. Call it in Do.
func (l *Loop) Unshadow() { l.shadow = nil }

// Swap makes the shadow the judge that counts, and that one its shadow, with no
// second in between: the furnace's state passes over, under the new judge's
// thresholds. It reports whether there was a shadow. Call it in Do.
func (l *Loop) Swap() bool {
	if l.shadow == nil {
		return false
	}
	l.decider, l.shadow.decider = l.shadow.decider, l.decider
	next, before := l.decider, l.shadow.decider
	next.machine, before.machine = before.machine, next.machine
	next.machine.SetParams(next.params)
	before.machine.SetParams(before.params)
	return true
}

// sample hands a sample to whoever decides.
func (l *Loop) sample(s drivers.Sample) {
	l.decider.Sample(s)
	if l.shadow != nil {
		l.shadow.decider.Sample(s)
	}
}

// beginShadow has the shadow decide; the function it returns waits for that,
// which the shadow's own timeout bounds, and compares.
func (l *Loop) beginShadow(ctx context.Context, now time.Time, frame drivers.Frame, status drivers.Status) func(live Decision) {
	s := l.shadow
	if s == nil {
		return func(Decision) {}
	}
	c, decided := Comparison{}, make(chan struct{})
	go func() {
		defer close(decided)
		c.Shadow = s.decider.Decide(ctx, now, frame, status)
		c.ShadowTook = time.Since(now)
	}()
	return func(live Decision) {
		c.Live, c.LiveTook = live, time.Since(now)
		<-decided
		s.compare(c)
	}
}
