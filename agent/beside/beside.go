// Package beside describes what a probe of the meters and of the camera finds while an
// agent watches them. The program meltwatch prints it as JSON, one Part a line
// (meltwatch probe configured --json); the agent reads it, adds what the probe did to its
// own connections, and shows it on the page. It holds no secret.
package beside

import "meltwatch/drivers/rtsp/probe"

// The parts, in the order of their probing.
const (
	Meters = "meters"
	Camera = "camera"
)

// The statuses of a finding, in the words of meltwatch check.
const (
	OK   = "ok"
	Warn = "warn" // it works, but not as well as it could
	Fail = "fail"
	Skip = "skip" // not probed; the detail gives the reason
)

// Part is what was found of one part.
type Part struct {
	// Name is Meters or Camera.
	Name     string    `json:"part"`
	Findings []Finding `json:"findings"`
	// Answered tells that the device gave currents, valid or not, packets of a stream, or a
	// refusal of the log-in: what is wrong then would be wrong for the watch too.
	Answered bool `json:"answered"`
	// Readings are the currents, Stream is the camera's stream; absent without an answer.
	Readings *Readings `json:"readings,omitempty"`
	Stream   *Stream   `json:"stream,omitempty"`
	// Watch is what became of the agent's own connection meanwhile; empty where no agent has
	// looked.
	Watch string `json:"watch,omitempty"`
}

// What became of the connection of the watch.
const (
	// WatchReads tells that it went on all the time.
	WatchReads = "reads"
	// WatchAgain tells that it was closed, opened again, and went on.
	WatchAgain = "again"
	// WatchLost tells that it failed, and that the probe was stopped because of that.
	WatchLost = "lost"
	// WatchFault tells that it had a fault before the probe.
	WatchFault = "fault"
)

// Finding is one line of what was found.
type Finding struct {
	Status string `json:"status"`
	// Key is the setting at fault, empty for none or for one of the device's own.
	Key string `json:"key,omitempty"`
	// Detail is what was found, with the remedy of a fault.
	Detail string `json:"detail"`
}

// The verdicts on the currents.
const (
	Plausible   = "plausible"
	Off         = "off"         // the furnace seems to be off
	Doubtful    = "doubtful"    // far below the set-point, or the phases differ widely
	Implausible = "implausible" // settings are wrong; a finding says which
)

// Readings are the last currents of a few polls, in amperes.
type Readings struct {
	Meter    string  `json:"meter"`
	CurrentA float64 `json:"current_a"`
	CurrentB float64 `json:"current_b"`
	CurrentC float64 `json:"current_c"`
	// SetPoint is 0 if it is unknown.
	SetPoint float64 `json:"set_point"`
	Verdict  string  `json:"verdict"`
}

// Stream is what the camera sends.
type Stream struct {
	Video probe.Video `json:"video"`
	// Picture is the status that the agent would report: ok, black, frozen, stale, absent.
	Picture string `json:"picture"`
	// YAML is the section camera that fits, with the crop in force if that fits; empty if no
	// packet came.
	YAML string `json:"yaml,omitempty"`
}
