package state

import (
	"fmt"
	"time"
)

// Level is the level of alarm.
type Level string

// The levels. LevelAlarm stands exactly while the state is abnormal.
const (
	LevelNone      Level = "none"
	LevelSuspected Level = "suspected"
	LevelAlarm     Level = "alarm"
)

// Suspect are the filter's lengths and thresholds for a suspicion, as Params are for an
// alarm. Enter need not be below the alarm's: a shorter mean varies more, and may need a
// higher threshold for the same false warnings. With MeanSeconds 0 there is never a
// suspicion.
type Suspect struct {
	MeanSeconds int
	Enter, Exit float64
	HoldSeconds int
}

// Suspicion is the early warning before an alarm. It follows the model only: the rule on
// the current gives no probability between its two answers.
type Suspicion struct {
	// On reports whether the suspicion stands; an alarm takes its place.
	On    bool
	Since time.Time
	// Held reports whether it stands only because no live sense can end it.
	Held bool
	// P is the filtered p(abnormal) that is compared with its thresholds, Filtered
	// whether this second has one.
	P        float64
	Filtered bool
	// Cause is why it began or ended in this second; empty without a change.
	Cause string
}

// level is the level of alarm in this second.
func (m *Machine) level() Level {
	switch {
	case m.status.State == Abnormal:
		return LevelAlarm
	case m.status.Suspicion.On:
		return LevelSuspected
	default:
		return LevelNone
	}
}

// suspicion begins or ends a suspicion, after the state has been updated. idle and decided
// tell how the state machine took the second.
func (m *Machine) suspicion(v Verdict, idle, decided bool) {
	s := &m.status.Suspicion
	s.P, s.Filtered = 0, false
	thresholds := m.params.Suspect
	switch {
	case thresholds.MeanSeconds == 0:
		m.endSuspicion("the model has no thresholds for a suspicion")
		return
	case m.status.State == Off:
		m.suspect.forget()
		m.endSuspicion("the furnace is off")
		return
	case idle:
		return // a few seconds, like those of an alarm
	case !decided || v.Source != Model:
		m.suspect.forget()
		s.Held = s.On
	default:
		s.Filtered = true
		var full bool
		s.P, full = m.suspect.add(v.P, thresholds.MeanSeconds)
		m.weigh(v, full)
	}
	if m.status.State == Abnormal {
		m.endSuspicion("the alarm takes its place")
	}
}

// weigh compares the mean with the thresholds of a suspicion.
func (m *Machine) weigh(v Verdict, full bool) {
	s, thresholds := &m.status.Suspicion, m.params.Suspect
	switch {
	case !s.On && full && s.P >= thresholds.Enter && m.status.State != Abnormal:
		*s = Suspicion{On: true, Since: v.Time, P: s.P, Filtered: true, Cause: fmt.Sprintf(
			"mean p(abnormal) of %d s is %.3f, at or over %.3f", thresholds.MeanSeconds, s.P, thresholds.Enter)}
		m.suspect.under = 0
	case !s.On:
	case v.CurrentInvalid:
		// It may come from the current, which cannot contradict it now.
		s.Held, m.suspect.under = true, 0
	case full:
		s.Held = s.Held && s.P < thresholds.Enter
		if m.suspect.left(s.P, thresholds.Exit, thresholds.HoldSeconds) {
			m.endSuspicion(fmt.Sprintf("mean p(abnormal) of %d s is %.3f, under %.3f for %d s", thresholds.MeanSeconds, s.P, thresholds.Exit, thresholds.HoldSeconds))
		}
	}
}

// endSuspicion ends a suspicion, if there is one. Its mean goes on.
func (m *Machine) endSuspicion(cause string) {
	s := &m.status.Suspicion
	if s.On {
		*s = Suspicion{P: s.P, Filtered: s.Filtered, Cause: cause}
	}
	m.suspect.under = 0
}
