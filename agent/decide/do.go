package decide

import (
	"context"
	"errors"
)

// Do runs f between two seconds in the loop's goroutine, the only place where a decider
// and its machine may be used while the loop runs. It returns after f has run, or an
// error if ctx or the loop ended before f began.
func (l *Loop) Do(ctx context.Context, f func()) error {
	done := make(chan struct{})
	select {
	case l.between <- func() { defer close(done); f() }:
	case <-ctx.Done():
		return ctx.Err()
	case <-l.ended:
		return errEnded
	}
	<-done
	return nil
}

var errEnded = errors.New("the decision loop has ended")

// Decider returns the live decider. Call it in Do.
func (l *Loop) Decider() *Decider { return l.decider }

// Adopt applies settings while the loop runs. The window, the background, the baseline of
// the current, the furnace's state and the manifest stay.
func (d *Decider) Adopt(s Settings) {
	d.params, d.rule, d.timeout = s.Params, s.Rule, s.Timeout
	d.machine.SetParams(s.Params)
	d.current.setPeriod(s.Period)
	d.camera = s.Camera
	if s.Delay != d.delay {
		d.startAt(s.Delay)
	}
}
