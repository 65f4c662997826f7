package stamp

import (
	"time"

	"golang.org/x/sys/unix"
)

// Clock is the host's time, as far as records are stamped by it.
type Clock interface {
	// Wall is what the host's clock showed at t.
	Wall(t time.Time) time.Time
	// Boot is CLOCK_BOOTTIME: the time since the kernel started, suspension
	// included. No correction of the wall clock moves it.
	Boot() time.Duration
	// Synced reports whether something keeps the wall clock right.
	Synced() bool
}

// KernelClock is the clock of this machine.
type KernelClock struct{}

func (KernelClock) Wall(t time.Time) time.Time { return t.UTC().Round(0) }

func (KernelClock) Boot() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0 // no Linux of this century lacks it
	}
	return time.Duration(ts.Nano())
}

func (KernelClock) Synced() bool {
	const notSynchronised = 5 // TIME_ERROR of adjtimex(2)
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	return err == nil && state != notSynchronised
}
