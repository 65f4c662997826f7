// Package retry holds the policy for repeated attempts: waits that grow with each
// consecutive failure, and a log that a lasting fault does not fill.
package retry

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// MinWait is the nominal wait before the first retry.
	MinWait = 250 * time.Millisecond
	// MaxWait bounds every wait, jitter included, and so how long a recovery may go
	// unnoticed.
	MaxWait = 8 * time.Second
	// logInterval is how often a lasting fault is logged.
	logInterval = time.Minute
)

// Wait is the pause before retry n, counted from 0: it doubles from MinWait to
// MaxWait. The upper half of it is random, so that twenty boxes do not reconnect to a
// broker at the same time.
func Wait(n int) time.Duration {
	full := MaxWait
	if n < 5 { // 2⁵ × 250 ms = 8 s
		full = MinWait << n
	}
	return full/2 + rand.N(full/2+1)
}

// Every calls f every d, in a goroutine, until ctx ends or stop is called. f does not run
// after stop has returned.
func Every(ctx context.Context, d time.Duration, f func()) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(d)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				f()
			}
		}
	}()
	return func() { cancel(); <-done }
}

// Sleep waits for d or the end of ctx, and reports whether all of d has passed.
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

// Faults logs a fault when it begins, then once a minute with a count while it
// lasts, then once when it is over. The zero value with a Log is ready; it is
// safe for concurrent use and must not be copied.
type Faults struct {
	Log *slog.Logger

	mu            sync.Mutex
	count         int
	began, logged time.Time
}

// Report notes one occurrence.
func (f *Faults) Report(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	f.count++
	switch {
	case f.count == 1:
		f.began = now
		f.Log.Warn("fault began", "err", err)
	case now.Sub(f.logged) >= logInterval:
		f.Log.Warn("fault continues", "err", err, "count", f.count)
	default:
		return
	}
	f.logged = now
}

// Over notes a success. It logs the recovery if there was a fault.
func (f *Faults) Over() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.count > 0 {
		f.Log.Info("recovered", "after", time.Since(f.began).Round(time.Millisecond), "count", f.count)
	}
	f.count = 0
}
