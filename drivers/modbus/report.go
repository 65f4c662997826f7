package modbus

import (
	"log/slog"
	"slices"
	"time"
)

// Report is the outcome of one poll of one meter.
type Report struct {
	Meter string
	Time  time.Time
	// Err is nil when the meter answered.
	Err error
	// Invalid is why an answer holds no currents: a phase is not available, or its
	// value is impossible for the furnace. Empty for a valid poll.
	Invalid string
	// Degraded lists the optional quantities without a value, each with the reason.
	// They do not affect the currents.
	Degraded []string
	// Quirks lists unusual behaviour of device and line that the driver has adapted
	// to: an echo, frames of other units, reads that are not accepted.
	Quirks   []string
	Counters Counters
}

// Counters count since Run began.
type Counters struct {
	// Polls counts attempts; Errors those without an answer.
	Polls, Errors uint64
	// Invalid counts answered polls without valid currents.
	Invalid uint64
	// Missed counts ticks without a poll, because the line was busy with an earlier one
	// or waited after repeated failures.
	Missed uint64
	// Redials are attempts to open the line after the first that succeeded. A device
	// that closes after each answer causes one per request.
	Redials uint64
}

// Plus adds two meters' counters.
func (c Counters) Plus(other Counters) Counters {
	c.Polls += other.Polls
	c.Errors += other.Errors
	c.Invalid += other.Invalid
	c.Missed += other.Missed
	c.Redials += other.Redials
	return c
}

// report logs the quirks found since the last call, and returns all. The slice must not be
// changed.
func (q *quirks) report(log *slog.Logger) []string {
	for _, what := range q.known[len(q.known)-q.unreported:] {
		log.Info("device has a quirk", "quirk", what)
	}
	q.unreported = 0
	return slices.Clip(q.known)
}
