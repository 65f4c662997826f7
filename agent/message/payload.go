package message

import "time"

// Version of the payloads' layout.
const Version = 1

// Stamp tells when and by which run of which agent a record was made.
type Stamp struct {
	Version int `json:"v"`
	// Time is the record's instant by the host's wall clock.
	Time time.Time `json:"time"`
	// Boot counts the agent's starts; with Seq it names a record for ever.
	Boot uint64 `json:"boot"`
	// Seq counts the records of one class in one boot, from 1.
	Seq uint64 `json:"seq"`
	// MonoMS is CLOCK_BOOTTIME at Time, in milliseconds; KernelBoot is the
	// kernel's boot_id, within which it may be compared.
	MonoMS     int64  `json:"mono_ms"`
	KernelBoot string `json:"kernel_boot"`
	// Clock is "synced" or "unsynced", as the kernel saw it at the record's
	// making; "restamped" when Time was put right later.
	Clock string `json:"clock"`
}

// What Stamp.Clock says.
const (
	ClockSynced   = "synced"
	ClockUnsynced = "unsynced"
	// ClockRestamped: Time was put right afterwards, by MonoMS.
	ClockRestamped = "restamped"
)

// State is the furnace's state, each second.
type State struct {
	Stamp
	State string    `json:"state"`
	Since time.Time `json:"since"`
	// Held: abnormal only because nothing can deny it.
	Held bool `json:"held"`
	// PAbnormal is this second's p(abnormal), PMean the filtered one that the
	// thresholds apply to; both 0 with source "none".
	PAbnormal float64 `json:"p_abnormal"`
	PMean     float64 `json:"p_mean"`
	// Source is who decided: model, rule or none. Weak marks a rule verdict that
	// rests on 45 s of quiet current only.
	Source string `json:"source"`
	Weak   bool   `json:"weak,omitempty"`
	// Alignment is the cosine between what the two senses say; nil without both.
	Alignment *float64 `json:"alignment"`
	// ClockOffsetS is by how many seconds the video is late against the current, as
	// estimated, and ClockSpreadS that estimate's standard deviation; absent while
	// nothing is known. ClockCorrectionS is how much of it the window takes back.
	ClockOffsetS     *float64 `json:"clock_offset_s,omitempty"`
	ClockSpreadS     *float64 `json:"clock_spread_s,omitempty"`
	ClockCorrectionS float64  `json:"clock_correction_s,omitempty"`
	// Surprise is the error of the model's guess at the next current, ≥ 0; absent
	// where it makes none.
	Surprise *float64  `json:"surprise,omitempty"`
	Evidence *Evidence `json:"evidence"`
	Senses   Senses    `json:"senses"`
	Coverage Coverage  `json:"coverage"`
	Counted  Counted   `json:"counted"`
	Model    ModelName `json:"model"`
	// LatencyMS is from the window's end to this record.
	LatencyMS float64 `json:"latency_ms"`
}

// Evidence is where on the crop the model looked: the centre of its attention
// as a share of width and height, and its standard deviation likewise.
type Evidence struct {
	X      float64 `json:"x"`
	Y      float64 `json:"y"`
	Spread float64 `json:"spread"`
}

// Senses tell which sense can be believed: ok, stale, frozen, black, absent.
type Senses struct {
	Current string `json:"current"`
	Video   string `json:"video"`
}

// Coverage is the share of the window's slots that hold a value, 0–1.
type Coverage struct {
	Current float64 `json:"current"`
	Video   float64 `json:"video"`
}

// Counted says on which senses the verdict rests; on none with source "none".
type Counted struct {
	Current bool `json:"current"`
	Video   bool `json:"video"`
}

// ModelName says which model decided; empty while none is loaded.
type ModelName struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	SHA256  string `json:"sha256"`
}

// Sample is one reading of the current. Several stand in one Current message
// where they come faster than 5 Hz, or late.
type Sample struct {
	Stamp
	A float64 `json:"a"` // amperes
	B float64 `json:"b"`
	C float64 `json:"c"`
	// SetPoint in amperes, 0 when the plant reports none.
	SetPoint float64 `json:"set_point"`
	Feeding  bool    `json:"feeding"`
	Exhaust  bool    `json:"exhaust"`
	Manual   bool    `json:"manual"`
	// UncertaintyMS is half the poll's round trip.
	UncertaintyMS float64 `json:"uncertainty_ms"`
}

// Event is a change worth a line in a logbook.
type Event struct {
	Stamp
	// Kind: state, sense, source, start.
	Kind string `json:"kind"`
	From string `json:"from"`
	To   string `json:"to"`
	// Subject is what changed: the furnace, current, video.
	Subject string `json:"subject"`
	Cause   string `json:"cause"`
}

// Health is how every part fares.
type Health struct {
	Stamp
	Agent string `json:"agent"` // the agent's version
	// Instance names this process: two at a time are two agents of one name.
	Instance string `json:"instance"`
	// Goroutines is how many the agent has: a number that grows is a leak.
	Goroutines int            `json:"goroutines"`
	Parts      map[string]any `json:"parts"`
}
