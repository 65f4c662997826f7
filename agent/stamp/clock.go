package stamp

import (
	"time"

	"golang.org/x/sys/unix"
)

// Clock is the part of the host's clocks that stamps records.
type Clock interface {
	// Wall is the host's wall-clock time at t.
	Wall(t time.Time) time.Time
	// Boot is CLOCK_BOOTTIME: the time since the kernel started, suspension
	// included. No correction of the wall clock moves it.
	Boot() time.Duration
	// Synced reports whether the wall clock is synchronised.
	Synced() bool
}

// KernelClock is the Clock of the running kernel.
type KernelClock struct{}

func (KernelClock) Wall(t time.Time) time.Time { return t.UTC().Round(0) }

func (KernelClock) Boot() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0 // cannot happen: every supported kernel has this clock
	}
	return time.Duration(ts.Nano())
}

func (KernelClock) Synced() bool {
	const notSynchronised = 5 // TIME_ERROR of adjtimex(2)
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	return err == nil && state != notSynchronised
}
