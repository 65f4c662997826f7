package modbus

import (
	"log/slog"
	"time"
)

// Report says how one poll of one meter went.
type Report struct {
	Meter string
	Time  time.Time
	// Err is nil after a good poll.
	Err      error
	Counters Counters
}

// Counters count since Run began.
type Counters struct {
	// Polls were attempted; Errors of them brought no values.
	Polls, Errors uint64
	// Missed ticks were not polled, because the line was still busy with an
	// earlier one or a wait after repeated failures was running.
	Missed uint64
	// Redials are attempts to open the line after the first that succeeded.
	Redials uint64
}

// stillEvery is how often a lasting fault is logged again.
const stillEvery = time.Minute

// fault turns a run of failures into three kinds of log lines: its start, a
// count each minute, and its end.
type fault struct {
	log           *slog.Logger
	since, logged time.Time
	count         int
}

func (f *fault) note(err error, now time.Time) {
	switch {
	case err == nil && f.count > 0:
		f.log.Info("meter recovered", "after", now.Sub(f.since), "failed_polls", f.count)
		*f = fault{log: f.log}
	case err == nil:
	case f.count == 0:
		f.since, f.logged, f.count = now, now, 1
		f.log.Warn("meter fails", "error", err)
	default:
		f.count++
		if now.Sub(f.logged) >= stillEvery {
			f.logged = now
			f.log.Warn("meter still fails", "error", err, "since", f.since, "failed_polls", f.count)
		}
	}
}
