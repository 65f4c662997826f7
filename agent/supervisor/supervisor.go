// Package supervisor keeps one part of the agent alive.
//
// A part is a Run(ctx) error that owns what it starts. When it returns an error
// it is started again after a wait that grows with each failure in a row, jitter
// included, up to a ceiling; a part that ran well for a while starts from the
// shortest wait again. An error marked Permanent ends the supervision: no retry
// cures it.
//
// Waits and the log of a lasting fault are package retry's.
package supervisor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"meltwatch/retry"
)

// wellAfter is how long a part must run to count as healed.
const wellAfter = 10 * time.Second

type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// Permanent marks an error that no retry cures.
func Permanent(err error) error { return permanent{err} }

// Run runs part until ctx ends, then returns nil, or until part fails for good,
// then returns that error. A part that returns nil before ctx ends is started
// again as well.
func Run(ctx context.Context, name string, log *slog.Logger, part func(context.Context) error) error {
	log = log.With("part", name)
	faults := &retry.Faults{Log: log}
	for try := 0; ; try++ {
		well := time.AfterFunc(wellAfter, faults.Over)
		err := part(ctx)
		ranWell := !well.Stop()
		if ctx.Err() != nil {
			return nil //nolint:nilerr // what a part says when it is told to end is no fault
		}
		if p := (permanent{}); errors.As(err, &p) {
			return fmt.Errorf("%s: %w", name, p.error)
		}
		if err == nil {
			err = errors.New("ended for no reason")
		}
		if ranWell {
			try = 0
		}
		faults.Report(err)
		if !retry.Sleep(ctx, retry.Wait(try)) {
			return nil
		}
	}
}
