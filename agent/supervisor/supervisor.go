// Package supervisor keeps one part of the agent alive.
//
// A part is a Run(ctx) error that owns what it starts. When it returns an error
// it is started again after a wait that grows with each failure in a row, jitter
// included, up to a ceiling; a part that ran well for a while starts from the
// shortest wait again. An error marked Permanent ends the supervision: no retry
// cures it.
//
// A fault is logged when it begins, then once a minute with a count while it
// lasts, then once when it is over.
package supervisor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"
)

const (
	shortest = 250 * time.Millisecond
	longest  = 8 * time.Second // jitter included
	// wellAfter is how long a part must run to count as healed.
	wellAfter = 10 * time.Second
	// repeat is how often a lasting fault is logged.
	repeat = time.Minute
)

type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// Permanent marks an error that no retry cures.
func Permanent(err error) error { return permanent{err} }

// Wait is the pause before try n, counted from 0: it doubles from a quarter of a
// second and never exceeds 8 s; the upper half of it is random, so that twenty
// boxes do not return to a broker in step.
func Wait(n int) time.Duration {
	full := longest
	if n < 5 { // 2⁵ × 250 ms = 8 s
		full = shortest << n
	}
	return full/2 + rand.N(full/2+1)
}

// Run runs part until ctx ends, then returns nil, or until part fails for good,
// then returns that error. A part that returns nil before ctx ends is started
// again as well.
func Run(ctx context.Context, name string, log *slog.Logger, part func(context.Context) error) error {
	log = log.With("part", name)
	faults := Faults{Log: log}
	for try := 0; ; try++ {
		started := time.Now()
		err := part(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // what a part says when it is told to end is no fault
		}
		if p := (permanent{}); errors.As(err, &p) {
			return fmt.Errorf("%s: %w", name, p.error)
		}
		if err == nil {
			err = errors.New("ended for no reason")
		}
		if time.Since(started) >= wellAfter {
			try = 0
			faults.Over()
		}
		faults.Report(err)
		if !Sleep(ctx, Wait(try)) {
			return nil
		}
	}
}

// Sleep waits for d or the end of ctx and reports whether it waited to the end.
func Sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Faults logs a fault at its start, then once a minute, then its end. The zero
// value with a Log is ready; it is owned by one goroutine.
type Faults struct {
	Log    *slog.Logger
	count  int
	logged time.Time
}

// Report notes one occurrence.
func (f *Faults) Report(err error) {
	f.count++
	switch {
	case f.count == 1:
		f.Log.Warn("fault began", "err", err)
	case time.Since(f.logged) >= repeat:
		f.Log.Warn("fault lasts", "err", err, "count", f.count)
	default:
		return
	}
	f.logged = time.Now()
}

// Over notes that all is well; it says so only after a fault.
func (f *Faults) Over() {
	if f.count > 0 {
		f.Log.Info("recovered", "count", f.count)
	}
	f.count = 0
}
