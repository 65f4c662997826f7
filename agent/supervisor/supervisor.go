// Package supervisor keeps one part of the agent alive.
//
// A part is a Run(ctx) error that owns what it starts. When it returns an error it is
// restarted after a wait that grows with each failure in a row, with jitter, up to a
// maximum. After a part has run well for a while the wait is short again. No error
// ends the supervision: one failed part must not leave a furnace unwatched, and the
// part may work again later.
//
// Waits and the log of a lasting fault are package retry's.
package supervisor

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"meltwatch/retry"
)

// wellAfter is how long a part must run to count as healed.
const wellAfter = 10 * time.Second

// Run runs part until ctx ends. A part that returns nil before that is started
// again as well.
func Run(ctx context.Context, name string, log *slog.Logger, part func(context.Context) error) {
	log = log.With("part", name)
	faults := &retry.Faults{Log: log}
	for try := 0; ; try++ {
		well := time.AfterFunc(wellAfter, faults.Over)
		err := part(ctx)
		ranWell := !well.Stop()
		if ctx.Err() != nil {
			return // an error after ctx ended is not a fault
		}
		if err == nil {
			err = errors.New("ended for no reason")
		}
		if ranWell {
			try = 0
		}
		faults.Report(err)
		if !retry.Sleep(ctx, retry.Wait(try)) {
			return
		}
	}
}
