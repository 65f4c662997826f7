package message

import "time"

// TopicAlarm holds the newest alarm, an Alarm, retained. It is published when the alarm
// is raised, acknowledged, shelved or cleared.
const TopicAlarm = "alarm"

// TopicSuspicion holds the newest suspicion, an Alarm too, retained: the early warning
// before an alarm goes through the same phases.
const TopicSuspicion = "suspicion"

// The phases of an alarm, in the words of ISA-18.2.
const (
	AlarmRaised       = "raised"
	AlarmAcknowledged = "acknowledged"
	AlarmShelved      = "shelved"
	AlarmCleared      = "cleared"
)

// Alarm is one alarm of the furnace or one suspicion, and what spoke for it when it was
// raised.
type Alarm struct {
	Stamp
	// ID identifies the alarm, also across restarts of the agent.
	ID    string `json:"id"`
	Phase string `json:"phase"`
	// Raised is when the state became abnormal or the suspicion began, Cleared when it
	// ended.
	Raised  time.Time `json:"raised"`
	Cleared time.Time `json:"cleared,omitzero"`
	// Summary says in a few sentences why; Cause is the state machine's reason.
	Summary string `json:"summary"`
	Cause   string `json:"cause"`
	// Held reports whether it is held, as LevelHeld in State.
	Held bool `json:"held"`
	// Source, PAbnormal and PMean are as in State; of a suspicion PMean is PSuspect. It has
	// reached Enter; the alarm or suspicion ends under Exit.
	Source    string  `json:"source"`
	PAbnormal float64 `json:"p_abnormal"`
	PMean     float64 `json:"p_mean"`
	Enter     float64 `json:"enter"`
	Exit      float64 `json:"exit"`
	// Alone is p(abnormal) by each sense alone; absent if the model does not tell.
	Alone *Alone `json:"alone,omitempty"`
	// CV120 and CV45 are the current's coefficients of variation over 120 and 45 s, nil
	// while unknown; under Level120 or Level45 the rule calls the current quiet.
	CV120    *float64 `json:"cv_120"`
	CV45     *float64 `json:"cv_45"`
	Level120 float64  `json:"cv_120_level"`
	Level45  float64  `json:"cv_45_level"`
	Senses   Senses   `json:"senses"`
	Coverage Coverage `json:"coverage"`
	Counted  Counted  `json:"counted"`
	// ClockOffsetS and ClockCorrectionS are as in State.
	ClockOffsetS     *float64 `json:"clock_offset_s,omitempty"`
	ClockCorrectionS float64  `json:"clock_correction_s,omitempty"`
	// Frames are the instants of the frames in the window.
	Frames []time.Time `json:"frames"`
	// Evidence is where the model looked, Change where the picture differs most from the
	// background of the last minute, both in the crop; nil while unknown. Agree reports
	// whether both are the same place.
	Evidence *Evidence `json:"evidence"`
	Change   *Change   `json:"change"`
	Agree    *bool     `json:"agree"`
	Model    ModelName `json:"model"`
	// Acknowledged and Shelved are what persons did with it.
	Acknowledged *Acknowledged `json:"acknowledged,omitempty"`
	Shelved      *Shelved      `json:"shelved,omitempty"`
}

// Times are all instants besides the stamp's, to be corrected with it.
func (a *Alarm) Times() []*time.Time {
	all := []*time.Time{&a.Raised, &a.Cleared}
	for i := range a.Frames {
		all = append(all, &a.Frames[i])
	}
	if a.Acknowledged != nil {
		all = append(all, &a.Acknowledged.At)
	}
	if a.Shelved != nil {
		all = append(all, &a.Shelved.At, &a.Shelved.Until)
	}
	return all
}

// Alone is p(abnormal) by each sense alone, 0–1; nil for a sense that the window lacks.
type Alone struct {
	Current *float64 `json:"current"`
	Video   *float64 `json:"video"`
}

// Change is where the picture has become brighter than its background.
type Change struct {
	Evidence
	// Share is the part of the crop that changed, 0–1; Strength is the largest change,
	// as a multiple of the usual fluctuation there.
	Share    float64 `json:"share"`
	Strength float64 `json:"strength"`
}

// Acknowledged is who has seen an alarm, and when.
type Acknowledged struct {
	By string    `json:"by"`
	At time.Time `json:"at"`
}

// Shelved is who has silenced an alarm for a time, and why.
type Shelved struct {
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Until  time.Time `json:"until"`
	Reason string    `json:"reason"`
}
