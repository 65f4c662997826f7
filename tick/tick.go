// Package tick lets the rounds of a program's parts come together. Most of them do little, and
// a wake of the processor costs more than they do; so they come at common instants, whole
// multiples of their interval from one origin.
package tick

import (
	"context"
	"sync/atomic"
	"time"

	"meltwatch/retry"
)

// origin is in nanoseconds since 1970. Only the phase counts.
var origin atomic.Int64

// From sets the origin, 1970 by default. A program sets it once, at its start: the programs of a
// plant shall not all have their rounds at full seconds.
func From(t time.Time) { origin.Store(t.UnixNano()) }

// Until returns the time from now to the next common instant of interval d, at most d. It is
// never 0. A step of the wall clock changes the phase once.
func Until(now time.Time, d time.Duration) time.Duration {
	past := time.Duration(now.UnixNano()-origin.Load()) % d
	if past < 0 {
		past += d
	}
	return d - past
}

// Timer is a time.Timer that fires at a common instant.
type Timer struct {
	*time.Timer
	every time.Duration
}

// New returns a timer for the next common instant of interval d.
func New(d time.Duration) Timer { return Timer{time.NewTimer(Until(time.Now(), d)), d} }

// Next sets the timer for the next common instant. Who has received from C calls it.
func (t Timer) Next() { t.Reset(Until(time.Now(), t.every)) }

// Sleep waits for the next common instant of interval d or the end of ctx, and reports whether
// the instant has come.
func Sleep(ctx context.Context, d time.Duration) bool {
	return retry.Sleep(ctx, Until(time.Now(), d))
}
