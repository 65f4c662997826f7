// Package compare tells which of two models decides a recording better, by what persons
// say of it. It is what is looked at after a retraining, before a model is rolled out.
//
// Both models decide the same seconds of the labelled stretches, from the same readings
// and pictures, with the state machine that runs live. An abnormal stretch is found if it
// has an abnormal second from its onset on; the delay counts from the onset. A false alarm
// is a state abnormal that reaches a normal stretch, except one that began or lasted in an
// abnormal stretch. Doubtful stretches, and abnormal ones before their onset, count for
// nothing.
//
// A comparison is kept as comparison.json in the folder of the recording.
package compare

import (
	"context"
	"errors"
	"time"

	"meltwatch/agent/decide"
	"meltwatch/agent/recorder"
	"meltwatch/agent/replay"
	"meltwatch/agent/state"
)

// Comparison is the result. Durations are in seconds.
type Comparison struct {
	Version int       `json:"version"`
	Made    time.Time `json:"made"`
	TookS   float64   `json:"took_s"`
	// InForce is the model that decides, Candidate the one to replace it.
	InForce   Model `json:"in_force"`
	Candidate Model `json:"candidate"`
	// Stretches are the labelled stretches, oldest first; LeftOut counts older ones that
	// this list has no room for. Sums are of all of them.
	Stretches        []Stretch `json:"stretches"`
	StretchesLeftOut int       `json:"stretches_left_out,omitempty"`
	InForceSum       Sum       `json:"in_force_sum"`
	CandidateSum     Sum       `json:"candidate_sum"`
	// Unrecorded counts the labelled stretches of which no second could be compared.
	Unrecorded int `json:"unrecorded"`
	// Differences are the seconds in which one model is right and the other is not.
	Differences        []Difference `json:"differences"`
	DifferencesLeftOut int          `json:"differences_left_out,omitempty"`
}

// format is the version of the file's layout.
const format = 1

// Model identifies a model.
type Model struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	// SHA256 is that of its manifest.
	SHA256 string `json:"sha256"`
}

// Stretch is a labelled stretch, with what each model says of it.
type Stretch struct {
	Label string         `json:"label"` // its id
	Class recorder.Class `json:"class"`
	From  time.Time      `json:"from"`
	To    time.Time      `json:"to"`
	Onset time.Time      `json:"onset,omitzero"`
	// Seconds were compared: those that are scored, recorded and not of the minutes in which
	// the window fills.
	Seconds   int   `json:"seconds"`
	InForce   Score `json:"in_force"`
	Candidate Score `json:"candidate"`

	late bool // its onset was not compared
}

// Score is what one model says of one stretch.
type Score struct {
	Right int `json:"right"` // seconds
	// Found and DelayS are of an abnormal stretch; DelayS is nil unless it is found, and its
	// onset was compared.
	Found  bool     `json:"found,omitempty"`
	DelayS *float64 `json:"delay_s,omitempty"`
	// FalseAlarms are of a normal stretch.
	FalseAlarms int `json:"false_alarms,omitempty"`
}

// Sum is what one model says of all stretches of which a second was compared.
type Sum struct {
	Seconds int `json:"seconds"`
	Right   int `json:"right"` // seconds
	Found   int `json:"found"` // abnormal stretches
	Missed  int `json:"missed"`
	// DelayMedianS and DelayMaxS are nil if no delay is known.
	DelayMedianS *float64 `json:"delay_median_s"`
	DelayMaxS    *float64 `json:"delay_max_s"`
	FalseAlarms  int      `json:"false_alarms"`
	NormalHours  float64  `json:"normal_hours"`
	// FalseAlarmsPerHour is nil without normal stretches.
	FalseAlarmsPerHour *float64 `json:"false_alarms_per_hour"`
}

// Difference is a part of a labelled stretch in which the two models differ.
type Difference struct {
	From  time.Time      `json:"from"`
	To    time.Time      `json:"to"`
	Label string         `json:"label"` // its id
	Class recorder.Class `json:"class"`
	// CandidateRight tells which of the two is right.
	CandidateRight bool `json:"candidate_right"`
}

// Why a comparison is impossible.
var (
	ErrNoLabel    = errors.New("no stretch is labelled abnormal or normal: label some on the page (Back, Review)")
	ErrUnrecorded = errors.New("nothing of the labelled stretches can be compared: none is recorded, with the 210 s before it in which the window fills")
)

// Run has both models decide the labelled stretches of a recording. deciders returns two
// fresh deciders, of the model in force and of the candidate, which correct the video by
// delay at first; progress is told how many of the recorded seconds are done.
func Run(ctx context.Context, l *recorder.Library, labels []recorder.Label, delay time.Duration, deciders func() (inForce, candidate *decide.Decider), progress func(done, of int)) (*Comparison, error) {
	began := time.Now()
	spans, err := plan(l, labels, delay)
	if err != nil {
		return nil, err
	}
	of, done := 0, 0
	for _, s := range spans {
		of += s.seconds
	}
	if of == 0 {
		return nil, ErrUnrecorded
	}
	scorer := NewScorer(labels)
	for _, s := range spans {
		before := done
		progress(done, of)
		inForce, candidate := deciders()
		_, err := replay.Run(ctx, l, inForce, s.from, s.to, func(second replay.Second) {
			scorer.Add(second.Recorded.At, second.Settled, abnormal(second.Again), abnormal(second.Beside[0]))
			done++
			progress(min(done, before+s.seconds), of)
		}, candidate)
		if err != nil && !errors.Is(err, replay.ErrEmpty) {
			return nil, err
		}
		done = before + s.seconds
		progress(done, of)
	}
	c := scorer.Result()
	if c.InForceSum.Seconds == 0 {
		return nil, ErrUnrecorded
	}
	c.Made, c.TookS = time.Now().UTC().Round(time.Millisecond), time.Since(began).Round(time.Millisecond).Seconds()
	return c, nil
}

func abnormal(d decide.Decision) bool { return d.Status.State == state.Abnormal }
