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
	recent []float64 // p of the last MeanSeconds decided seconds, oldest first
	// under counts the seconds in a row with the mean below Exit.
	under int
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
	return &Machine{params: p.consistent(), status: Status{State: Unknown}}
}

// consistent limits Exit to Enter: above it, the state would change every few seconds.
func (p Params) consistent() Params {
	p.Exit = min(p.Exit, p.Enter)
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
}

// Save returns the state for a later Resume.
func (m *Machine) Save(now time.Time) Saved {
	return Saved{State: m.status.State, Since: m.status.Since, Seen: now, By: m.by, SetPoint: m.setPoint}
}

// Resume restores an abnormal state that was saved at most ten minutes before now. It
// is held until a live sense contradicts it. A state saved after now is restored too:
// the clock may be behind after a power cut on a box without a real-time clock, and a
// false alarm is better than a dropped one. Any other state is determined again; the
// set-point is always restored.
func (m *Machine) Resume(s Saved, now time.Time) {
	m.acceptSetPoint(s.SetPoint, s.SetPoint) // it was accepted before
	age := now.Sub(s.Seen)
	if s.State != Abnormal || age > resumeWithin {
		return
	}
	m.status = Status{State: Abnormal, Since: s.Since, Held: true}
	m.by = s.By
}

// SetParams changes the filter's parameters; the verdicts of the last seconds stay.
func (m *Machine) SetParams(p Params) { m.params = p.consistent() }

// Acknowledge ends a held abnormal state. It reports whether there was one.
func (m *Machine) Acknowledge(now time.Time) bool {
	if m.status.State != Abnormal || !m.status.Held {
		return false
	}
	m.enter(Unknown, now, "acknowledged by operator")
	return true
}

// Step updates the state with the verdict of one second.
func (m *Machine) Step(v Verdict) Status {
	m.status.Changed, m.status.Restarted, m.status.Cause = false, false, ""
	switch {
	case m.standsStill(v):
		m.silent = 0
	case !m.decided(v):
		m.undecided(v)
	default:
		m.silent = 0
		m.filter(v)
	}
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
	// The mean is over consecutive seconds only.
	m.forget()
	m.status.P = 0
}

func (m *Machine) filter(v Verdict) {
	m.recent = append(m.recent, v.P)
	if extra := len(m.recent) - m.params.MeanSeconds; extra > 0 {
		m.recent = m.recent[extra:]
	}
	m.status.P = mean(m.recent)
	full := len(m.recent) >= m.params.MeanSeconds
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
		m.status.Held, m.under = true, 0
		return
	}
	if !full {
		return
	}
	if m.status.P >= m.params.Exit {
		m.under = 0
		m.status.Held = m.status.Held && m.status.P < m.params.Enter
		return
	}
	m.under++
	if m.under >= m.params.HoldSeconds {
		m.enter(Normal, v.Time, "p(abnormal) under its threshold, by "+string(v.Source))
	}
}

func (m *Machine) enter(s State, at time.Time, cause string) {
	if m.status.State == s {
		return
	}
	p, restarted := m.status.P, m.status.Restarted
	m.status = Status{State: s, Since: at, P: p, Changed: true, Cause: cause, Restarted: restarted}
	m.under = 0
	if s == Off || s == Unknown || s == Warming {
		m.forget()
	}
}

func (m *Machine) forget() {
	m.recent = m.recent[:0]
	m.under = 0
}

func mean(values []float64) float64 {
	var sum float64
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}
