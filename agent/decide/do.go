package decide

import (
	"context"
	"errors"
)

// Do runs f between two seconds, in the loop's own goroutine: only there may a
// judge and its machine be touched while the loop runs. It returns once f has
// run, or an error when it could not begin before ctx or the loop ended.
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

// errEnded is a loop that runs no more.
var errEnded = errors.New("the decision loop has ended")

// Decider is the one that decides. Call it in Do.
func (l *Loop) Decider() *Decider { return l.decider }

// Adopt changes what a configuration may change while the furnace is watched.
// The window, the background and the furnace's state stay; the manifest does
// too.
func (j *Decider) Adopt(s Settings) {
	j.params, j.rule, j.timeout = s.Params, s.Rule, s.Timeout
	j.machine.SetParams(s.Params)
	j.current.setPeriod(s.Period)
}
