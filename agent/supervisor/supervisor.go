// Package supervisor restarts the parts of the agent.
//
// A part is a Run(ctx) error that owns everything it starts. If it returns, it is
// restarted after a wait that grows with each failure in a row, with jitter, up to a
// maximum. After the part has run well for a while the wait is short again. No error
// ends the supervision: the other parts still watch the furnace, and the part may work
// again later.
//
// Package retry provides the waits and the log of a lasting fault.
package supervisor

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"meltwatch/retry"
)

// wellAfter is how long a part must run to count as recovered.
const wellAfter = 10 * time.Second

// Run runs part until ctx ends. A part that returns nil before that is restarted too.
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
			err = errors.New("ended without an error")
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
