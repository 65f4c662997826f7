package message

import "time"

// Version is the layout version of the payloads.
const Version = 1

// Stamp identifies a record and the time at which it was made.
type Stamp struct {
	Version int `json:"v"`
	// Time is the record's instant by the host's wall clock.
	Time time.Time `json:"time"`
	// Boot counts the agent's starts; Boot and Seq together identify a record.
	Boot uint64 `json:"boot"`
	// Seq counts the records of one class in one boot, from 1.
	Seq uint64 `json:"seq"`
	// MonoMS is CLOCK_BOOTTIME at Time, in milliseconds. It is comparable between
	// records with the same KernelBoot, the kernel's boot_id.
	MonoMS     int64  `json:"mono_ms"`
	KernelBoot string `json:"kernel_boot"`
	// Clock is the kernel's state when the record was made, "synced" or "unsynced", or
	// "restamped" if Time was corrected later.
	Clock string `json:"clock"`
}

// The values of Stamp.Clock.
const (
	ClockSynced   = "synced"
	ClockUnsynced = "unsynced"
	// ClockRestamped means that Time was corrected later from MonoMS.
	ClockRestamped = "restamped"
)

// State is the furnace's state, each second.
type State struct {
	Stamp
	State string    `json:"state"`
	Since time.Time `json:"since"`
	// Held reports whether the state is still abnormal only because no live sense can
	// end it.
	Held bool `json:"held"`
	// Level is the level of alarm: none, suspected (an early warning) or alarm, which
	// stands exactly while the state is abnormal. LevelSince is when an alarm or a
	// suspicion began, absent with none; LevelHeld reports whether it stands only because
	// no live sense can end it.
	Level      string    `json:"level"`
	LevelSince time.Time `json:"level_since,omitzero"`
	LevelHeld  bool      `json:"level_held,omitempty"`
	// PSuspect is the filtered value that is compared with the thresholds of a suspicion;
	// absent with a model without them, and without a verdict of the model.
	PSuspect *float64 `json:"p_suspect,omitempty"`
	// PAbnormal is p(abnormal) of this second, PMean the filtered value that is
	// compared with the thresholds; both are 0 with source "none".
	PAbnormal float64 `json:"p_abnormal"`
	PMean     float64 `json:"p_mean"`
	// Source is what decided: model, rule or none. Weak marks a verdict of the rule
	// from 45 s of current alone.
	Source string `json:"source"`
	Weak   bool   `json:"weak,omitempty"`
	// Alone is p(abnormal) by each sense alone; absent if the model does not tell.
	Alone *Alone `json:"alone,omitempty"`
	// Alignment is the cosine between the embeddings of the two senses; nil without
	// both.
	Alignment *float64 `json:"alignment"`
	// ClockOffsetS is the estimated delay of the video against the current, in seconds,
	// and ClockSpreadS its standard deviation; both are absent while unknown.
	// ClockConfidence is the probability that the pooled curve gives the true delay within
	// 1 s, also while that is too little for an estimate; absent is 0: too few windows, a
	// curve without a minimum, or a model that gives none. ClockCorrectionS is the part that
	// the window corrects.
	ClockOffsetS     *float64 `json:"clock_offset_s,omitempty"`
	ClockSpreadS     *float64 `json:"clock_spread_s,omitempty"`
	ClockConfidence  float64  `json:"clock_confidence,omitempty"`
	ClockCorrectionS float64  `json:"clock_correction_s,omitempty"`
	// Surprise is the error of the model's prediction of the next current, ≥ 0; absent
	// if the model makes none.
	Surprise *float64 `json:"surprise,omitempty"`
	// Familiarity is how much each sense of this window is like what the model learnt, and
	// FamiliarityMean its slow mean; absent if the model does not tell. Unfamiliar names the
	// senses that the model is not made for, by that mean; absent while there is none.
	Familiarity     *Familiarity `json:"familiarity,omitempty"`
	FamiliarityMean *Familiarity `json:"familiarity_mean,omitempty"`
	Unfamiliar      *Unfamiliar  `json:"unfamiliar,omitempty"`
	Evidence        *Evidence    `json:"evidence"`
	Senses          Senses       `json:"senses"`
	Coverage        Coverage     `json:"coverage"`
	Counted         Counted      `json:"counted"`
	Model           ModelName    `json:"model"`
	// LatencyMS is the time from the window's end to this record.
	LatencyMS float64 `json:"latency_ms"`
}

// Familiarity is how much each sense is like what the model learnt, 0 (unlike anything) to
// 1; nil for a sense of which it is unknown.
type Familiarity struct {
	Current *float64 `json:"current"`
	Video   *float64 `json:"video"`
}

// Unfamiliar names the senses that the model is not made for.
type Unfamiliar struct {
	Current bool `json:"current"`
	Video   bool `json:"video"`
}

// Evidence is the model's attention over the crop: its centre and its standard
// deviation, as shares of width and height.
type Evidence struct {
	X      float64 `json:"x"`
	Y      float64 `json:"y"`
	Spread float64 `json:"spread"`
}

// Senses holds the status of each sense: ok, stale, frozen, black, invalid or absent.
type Senses struct {
	Current string `json:"current"`
	Video   string `json:"video"`
}

// Coverage is the share of the window's slots that hold a value, 0–1.
type Coverage struct {
	Current float64 `json:"current"`
	Video   float64 `json:"video"`
}

// Counted names the senses that the verdict uses; none with source "none".
type Counted struct {
	Current bool `json:"current"`
	Video   bool `json:"video"`
}

// ModelName identifies the model; it is empty while none is loaded.
type ModelName struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	SHA256  string `json:"sha256"`
}

// Sample is one reading of the current. A Current message holds one sample, or several
// that had to wait.
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

// Event is a change that the plant's logbook should record.
type Event struct {
	Stamp
	// Kind is the kind of change, such as state, sense, source or start.
	Kind string `json:"kind"`
	From string `json:"from"`
	To   string `json:"to"`
	// Subject is what changed: the furnace, current, video.
	Subject string `json:"subject"`
	Cause   string `json:"cause"`
}

// Health is the status of every part.
type Health struct {
	Stamp
	Agent string `json:"agent"` // the agent's version
	// Instance is unique to this process: two values at a time mean two agents with one
	// name.
	Instance string `json:"instance"`
	// Goroutines is their number in the agent: a growing number is a leak.
	Goroutines int            `json:"goroutines"`
	Parts      map[string]any `json:"parts"`
}
