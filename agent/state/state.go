// Package state turns one verdict a second into the furnace's state.
//
// The states are off, warming, normal, abnormal and unknown ("Furnace state" in
// docs/architecture.md). Abnormal is entered and left when the mean of p(abnormal) over
// some seconds passes one of two thresholds, so that a single outlier has no effect.
// Two promises take precedence over the filter. An idle furnace is off and never
// abnormal, although its current has no variation. An abnormal state is never dropped
// because a sense or the model failed: it is marked as held until a live sense
// contradicts it.
//
// The package is pure: time comes with each verdict, nothing blocks, and only the
// verdicts of the last seconds are kept.
package state

import (
	"math"
	"time"
)

// State is what the furnace is doing.
type State string

// The furnace's states.
const (
	Off      State = "off"
	Warming  State = "warming"
	Normal   State = "normal"
	Abnormal State = "abnormal"
	Unknown  State = "unknown"
)

// Source names what decided a second.
type Source string

// The sources of a verdict. None marks a second without a verdict.
const (
	Model Source = "model"
	Rule  Source = "rule"
	None  Source = "none"
)

// Params are the filter's lengths and thresholds.
type Params struct {
	// MeanSeconds is the number of seconds over which p is averaged.
	MeanSeconds int
	// Enter and Exit are thresholds on that mean; Exit ≤ Enter.
	Enter, Exit float64
	// HoldSeconds is how long the mean must stay under Exit.
	HoldSeconds int
	// NormalCurrent in amperes replaces a missing set-point; 0 means unknown.
	NormalCurrent float64
	// Suspect are the filter and the thresholds of a suspicion.
	Suspect Suspect
}

// Verdict is the decision of one second, with the measurements that the state machine
// needs.
type Verdict struct {
	// Time is the window's end.
	Time time.Time
	// Source names what decided P.
	Source Source
	// P is p(abnormal), 0–1; ignored when Source is None.
	P float64
	// CurrentLive and VideoLive report whether a sense can be used.
	CurrentLive, VideoLive bool
	// CurrentInvalid reports whether the current's values are impossible for a furnace:
	// in such a second no alarm ends and the state does not change to off.
	CurrentInvalid bool
	// CurrentAside reports whether the current is live but read too rarely for a
	// verdict, which then uses the video alone.
	CurrentAside bool
	// Amperes is the largest phase's mean magnitude over the last two seconds, or
	// over the last readings of a slower meter; NaN without a reading.
	Amperes float64
	// SetPoint in amperes, 0 when the plant reports none.
	SetPoint float64
	// CurrentSeconds is the time in seconds that the window's samples of current cover.
	CurrentSeconds float64
	// VideoFull reports whether the window holds nearly all frames.
	VideoFull bool
}

// Status is the furnace's state after a verdict.
type Status struct {
	State State
	// Since is when the state began.
	Since time.Time
	// Held reports whether the state is still abnormal only because no live sense can
	// end it.
	Held bool
	// P is the filtered p(abnormal), 0 without a verdict.
	P float64
	// Changed reports whether this verdict changed State; Cause is the reason.
	Changed bool
	Cause   string
	// Restarted reports whether the current has returned after off: earlier samples
	// tell nothing about the new melt.
	Restarted bool
	// Level is the level of alarm, Suspicion the early warning before an alarm.
	Level     Level
	Suspicion Suspicion
}

const (
	// offSeconds is how long the current must be below offShare of its normal level
	// before the state becomes off.
	offSeconds = 10
	offShare   = 0.1
	// unknownIdle, in amperes, replaces that share while the normal level is unknown.
	unknownIdle = 1
	// setPointRatio is the largest factor between a valid set-point and the configured
	// normal current: beyond it, the controller has cleared the set-point or marked it
	// as invalid.
	setPointRatio = 3
	// maxKnownCurrent is twice what known furnaces draw, in amperes.
	maxKnownCurrent = 40_000
	// warmSeconds of current fill the window; firstSeconds are enough for a first
	// verdict.
	warmSeconds  = 119
	firstSeconds = 30
	// After silentSeconds without a verdict the state becomes unknown.
	silentSeconds = 10
	// resumeWithin is the largest age of an abnormal state that a restarted agent
	// resumes.
	resumeWithin = 10 * time.Minute
)

// Machine is the state machine. It is owned by one goroutine.
type Machine struct {
	params Params
	status Status
	// alarm filters p for the state, suspect for a suspicion.
	alarm, suspect filter
	// acknowledged is whether an operator has ended an alarm or a suspicion since the last
	// second: that cause is the next second's.
	acknowledged bool
	// still counts the seconds in a row of an idle furnace, silent those without a
	// verdict.
	still, silent int
	// setPoint is the last valid one: some controllers clear it when they trip.
	setPoint float64
	// by is the source that entered abnormal: the rule cannot end what only the model
	// saw.
	by Source
}

// New returns a machine in state unknown.
func New(p Params) *Machine {
	return &Machine{params: p.consistent(), status: Status{State: Unknown, Level: LevelNone}}
}

// consistent limits each exit to its enter: above it, the state would change every few
// seconds.
func (p Params) consistent() Params {
	p.Exit = min(p.Exit, p.Enter)
	p.Suspect.Exit = min(p.Suspect.Exit, p.Suspect.Enter)
	return p
}

// Saved is the state that survives a restart of the agent.
type Saved struct {
	State State     `json:"state"`
	Since time.Time `json:"since"`
	// Seen is the time of the last verdict.
	Seen time.Time `json:"seen"`
	By   Source    `json:"by"`
	// SetPoint is the last valid one, in amperes: the furnace may be idle with a
	// cleared set-point when the agent restarts.
	SetPoint float64 `json:"set_point,omitempty"`
	// Suspected is when a suspicion that stands began; zero without one.
	Suspected time.Time `json:"suspected,omitzero"`
}

// Save returns the state for a later Resume.
func (m *Machine) Save(now time.Time) Saved {
	saved := Saved{State: m.status.State, Since: m.status.Since, Seen: now, By: m.by, SetPoint: m.setPoint}
	if m.status.Suspicion.On {
		saved.Suspected = m.status.Suspicion.Since
	}
	return saved
}

// Resume restores an abnormal state or a suspicion that was saved at most ten minutes
// before now. It is held until a live sense contradicts it. A state saved after now is restored too:
// the clock may be behind after a power cut on a box without a real-time clock, and a
// false alarm is better than a dropped one. Any other state is determined again; the
// set-point is always restored. Resume reports whether an alarm or a suspicion was.
func (m *Machine) Resume(s Saved, now time.Time) bool {
	m.acceptSetPoint(s.SetPoint, s.SetPoint) // it was accepted before
	switch {
	case now.Sub(s.Seen) > resumeWithin:
		return false
	case s.State == Abnormal:
		m.status = Status{State: Abnormal, Since: s.Since, Held: true, Level: LevelAlarm}
		m.by = s.By
	case !s.Suspected.IsZero():
		m.status.Suspicion = Suspicion{On: true, Since: s.Suspected, Held: true}
		m.status.Level = LevelSuspected
	default:
		return false
	}
	return true
}

// SetParams changes the filter's parameters; the verdicts of the last seconds stay.
func (m *Machine) SetParams(p Params) { m.params = p.consistent() }

// acknowledged is the cause of the end of what an operator has acknowledged.
const acknowledged = "acknowledged by operator"

// Acknowledge ends a held abnormal state, or else a held suspicion. It reports whether
// there was one.
func (m *Machine) Acknowledge(now time.Time) bool {
	alarm, suspicion := m.status.State == Abnormal && m.status.Held, m.status.Suspicion.On && m.status.Suspicion.Held
	if !alarm && !suspicion {
		return false
	}
	m.status.Cause, m.status.Suspicion.Cause = "", ""
	if alarm {
		m.enter(Unknown, now, acknowledged)
	} else {
		m.endSuspicion(acknowledged)
	}
	m.suspect.forget()
	m.status.Level = m.level()
	m.acknowledged = true
	return true
}

// Step updates the state with the verdict of one second.
func (m *Machine) Step(v Verdict) Status {
	m.status.Changed, m.status.Restarted = false, false
	if !m.acknowledged {
		m.status.Cause, m.status.Suspicion.Cause = "", ""
	}
	m.acknowledged = false
	idle := m.standsStill(v)
	decided := !idle && m.decided(v)
	switch {
	case idle:
		m.silent = 0
	case !decided:
		m.undecided(v)
	default:
		m.silent = 0
		m.filter(v)
	}
	m.suspicion(v, idle, decided)
	m.status.Level = m.level()
	return m.status
}

// standsStill handles an idle furnace: the model's verdict on a window of zeros does
// not count. A failed meter ends this, because a melt could start unnoticed.
func (m *Machine) standsStill(v Verdict) bool {
	m.acceptSetPoint(v.SetPoint, v.Amperes)
	switch {
	case v.CurrentLive && math.IsNaN(v.Amperes):
		// The last readings are missing, too few to distrust the sense.
		return m.status.State == Off
	case !v.CurrentLive || v.Amperes >= m.Idle():
		m.still = 0
		return v.CurrentLive && m.restart(v)
	}
	m.still++
	if m.still >= offSeconds {
		m.enter(Off, v.Time, "every phase under a tenth of its normal level for 10 s")
	}
	m.status.P = 0
	return true
}

// acceptSetPoint stores a set-point unless the controller cleared it or marked it as
// invalid. Without a configured normal current, a set-point above maxKnownCurrent is
// accepted only after a current, in amperes, has come near it: under a corrupt one,
// every current would count as off.
func (m *Machine) acceptSetPoint(setPoint, amperes float64) {
	normal := m.params.NormalCurrent
	if normal <= 0 && setPoint > maxKnownCurrent {
		normal = max(amperes, m.setPoint) // NaN without a reading
	}
	if setPoint > 0 && (normal <= 0 && setPoint <= maxKnownCurrent || setPoint <= setPointRatio*normal && setPoint >= normal/setPointRatio) {
		m.setPoint = setPoint
	}
}

// Idle is the current, in amperes, that each phase of an idle furnace stays below.
func (m *Machine) Idle() float64 {
	switch {
	case m.setPoint > 0:
		return offShare * m.setPoint
	case m.params.NormalCurrent > 0:
		return offShare * m.params.NormalCurrent
	default:
		return unknownIdle
	}
}

// restart reports whether the current returned in this second.
func (m *Machine) restart(v Verdict) bool {
	if m.status.State != Off {
		return false
	}
	m.status.Restarted = true
	m.enter(Warming, v.Time, "current is back")
	return true
}

// Enough reports whether the senses have measured enough for a verdict: half a minute
// of current, or nearly all frames of the window.
func (v Verdict) Enough() bool {
	return v.CurrentLive && v.CurrentSeconds >= firstSeconds || v.VideoLive && v.VideoFull
}

// warming reports whether a live sense has not filled its window yet.
func (v Verdict) warming() bool {
	if v.CurrentAside {
		return v.VideoLive && !v.VideoFull
	}
	return v.CurrentLive && v.CurrentSeconds < warmSeconds
}

// decided reports whether the second has a verdict from enough measurements.
func (m *Machine) decided(v Verdict) bool {
	return v.Source != None && v.P >= 0 && v.P <= 1 && v.Enough()
}

// undecided handles a second without a verdict. The previous state stands for a few
// seconds; off ends at once if the current is invalid.
func (m *Machine) undecided(v Verdict) {
	m.silent++
	warming := v.warming() || !v.CurrentAside && !v.Enough()
	claimed := m.status.State == Normal || m.status.State == Off || !warming
	switch {
	case m.status.State == Abnormal:
		m.status.Held = true
	case !v.CurrentLive && !v.VideoLive:
		m.enter(Unknown, v.Time, "no sense is live")
	case claimed && m.silent >= silentSeconds:
		m.enter(Unknown, v.Time, "no verdict for 10 s")
	case m.status.State == Off && v.CurrentInvalid:
		m.enter(Unknown, v.Time, "the current reads values that a furnace cannot have")
	case m.status.State == Unknown && warming:
		m.enter(Warming, v.Time, "a sense is live")
	}
	m.alarm.forget()
	m.status.P = 0
}

func (m *Machine) filter(v Verdict) {
	var full bool
	m.status.P, full = m.alarm.add(v.P, m.params.MeanSeconds)
	if m.status.State == Abnormal {
		m.leave(v, full)
		return
	}
	switch {
	case full && m.status.P >= m.params.Enter:
		m.by = v.Source
		m.enter(Abnormal, v.Time, "p(abnormal) over its threshold, by "+string(v.Source))
	case v.warming() && m.status.State != Normal:
		m.enter(Warming, v.Time, "less than 120 s of current")
	case m.status.P >= m.params.Enter && m.status.State != Normal:
		// Too few seconds for an alarm, but they are not normal either.
	default:
		m.enter(Normal, v.Time, "p(abnormal) under its threshold, by "+string(v.Source))
	}
}

// leave decides whether an abnormal state ends.
func (m *Machine) leave(v Verdict, full bool) {
	if v.CurrentInvalid || v.Source == Rule && m.by == Model {
		// The rule sees the current only; the model may have seen the shell glow. And
		// the alarm may come from a current that is invalid now.
		m.status.Held, m.alarm.under = true, 0
		return
	}
	if !full {
		return
	}
	m.status.Held = m.status.Held && m.status.P < m.params.Enter
	if m.alarm.left(m.status.P, m.params.Exit, m.params.HoldSeconds) {
		m.enter(Normal, v.Time, "p(abnormal) under its threshold, by "+string(v.Source))
	}
}

func (m *Machine) enter(s State, at time.Time, cause string) {
	if m.status.State == s {
		return
	}
	m.status.State, m.status.Since, m.status.Held = s, at, false
	m.status.Changed, m.status.Cause = true, cause
	m.alarm.under = 0
	if s == Off || s == Unknown || s == Warming {
		m.alarm.forget()
	}
}
