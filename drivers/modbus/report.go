package modbus

import (
	"log/slog"
	"slices"
	"time"
)

// Report says how one poll of one meter went.
type Report struct {
	Meter string
	Time  time.Time
	// Err is nil when the meter answered.
	Err error
	// Invalid says why an answer holds no currents: a phase is not available, or has
	// a value that is impossible for the furnace. Empty for a good poll.
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
	// Polls were attempted; Errors of them brought no values.
	Polls, Errors uint64
	// Invalid polls were answered but brought no currents.
	Invalid uint64
	// Missed ticks were not polled, because the line was still busy with an
	// earlier one or a wait after repeated failures was running.
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

// report logs what has been noted since the last call, and returns all.
func (m *quirks) report(log *slog.Logger) []string {
	for _, what := range m.known[len(m.known)-m.unreported:] {
		log.Info("device behaves unusually", "manner", what)
	}
	m.unreported = 0
	return slices.Clone(m.known)
}
