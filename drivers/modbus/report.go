package modbus

import "time"

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
