// Package state turns one verdict a second into the furnace's state.
//
// The states are off, warming, normal, abnormal and unknown (design: "furnace
// state" in docs/architecture.md). Abnormal is entered and left by the mean of
// p(abnormal) over some seconds against two thresholds, so that one odd second
// does nothing. Two promises stand above the filter: a furnace that stands still
// is off and never abnormal, though its current is as quiet as can be; and an
// abnormal state is never dropped because a sense or the model died: it is held,
// and says so, until something that can see says otherwise.
//
// The package is pure: time comes in with each verdict, nothing blocks, and
// nothing is kept but the last seconds' verdicts.
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

// Source says who decided a second.
type Source string

// Who can decide. None is a second without any verdict.
const (
	Model Source = "model"
	Rule  Source = "rule"
	None  Source = "none"
)

// Params are the filter's lengths and thresholds.
type Params struct {
	// MeanSeconds is how many seconds of p are averaged.
	MeanSeconds int
	// Enter and Exit are thresholds on that mean; Exit ≤ Enter.
	Enter, Exit float64
	// HoldSeconds is how long the mean must stay under Exit.
	HoldSeconds int
	// NormalCurrent in amperes stands in for a missing set-point; 0 is unknown.
	NormalCurrent float64
}

// Verdict is what is known about one second.
type Verdict struct {
	// Time is the window's end.
	Time time.Time
	// Source says who made P.
	Source Source
	// P is p(abnormal), 0–1; ignored when Source is None.
	P float64
	// CurrentLive and VideoLive say which senses can be believed.
	CurrentLive, VideoLive bool
	// CurrentInvalid says that the current's values are impossible for a furnace: in
	// such a second no alarm ends and the furnace is not called off.
	CurrentInvalid bool
	// CurrentAside says that the current is live but too rarely read for any verdict:
	// only the video's counts.
	CurrentAside bool
	// Amperes is the largest phase's mean magnitude over the last two seconds, or
	// over the last readings of a slower meter; NaN without a reading.
	Amperes float64
	// SetPoint in amperes, 0 when the plant reports none.
	SetPoint float64
	// CurrentSeconds is how many seconds the window's samples of current cover.
	CurrentSeconds float64
	// VideoFull says that every frame of the window was seen.
	VideoFull bool
}

// Status is the furnace's state after a verdict.
type Status struct {
	State State
	// Since is when the state began.
	Since time.Time
	// Held says that the state is abnormal only because nothing can deny it.
	Held bool
	// P is the filtered p(abnormal), 0 when there is none.
	P float64
	// Changed says that this verdict changed State; Cause says why.
	Changed bool
	Cause   string
	// Restarted says that current came back after off: samples before this
	// verdict's second tell nothing about the new melt.
	Restarted bool
}

const (
	// offSeconds is how long the current must be under offShare of its normal
	// level before the furnace counts as off.
	offSeconds = 10
	offShare   = 0.1
	// nothing, in amperes, stands in for that share while the normal level is unknown.
	nothing = 1
	// setPointRatio is the largest factor between a set-point and the configured
	// normal current: beyond it the controller has cleared the set-point or marked it
	// as invalid.
	setPointRatio = 3
	// recordCurrent is twice what known furnaces draw, in amperes.
	recordCurrent = 40_000
	// warmSeconds of current make the window whole; firstSeconds of it are enough
	// for a first verdict.
	warmSeconds  = 119
	firstSeconds = 30
	// After silentSeconds without a verdict the state becomes unknown.
	silentSeconds = 10
	// resumeWithin is how long after an abnormal state a restarted agent still
	// takes it up again.
	resumeWithin = 10 * time.Minute
)

// Machine is the state machine. It is owned by one goroutine.
type Machine struct {
	params Params
	status Status
	recent []float64 // p of the last MeanSeconds decided seconds, oldest first
	// under counts seconds in a row with the mean under Exit.
	under int
	// still counts seconds in a row with next to no current, silent those without a
	// verdict.
	still, silent int
	// setPoint is the last one seen: some controllers clear it when they trip.
	setPoint float64
	// by is who entered abnormal: what only the model saw, the rule cannot deny.
	by Source
}

// New returns a machine that knows nothing yet.
func New(p Params) *Machine {
	return &Machine{params: p.consistent(), status: Status{State: Unknown}}
}

// consistent keeps the exit at or under the entry: above it the state would change
// every few seconds.
func (p Params) consistent() Params {
	p.Exit = min(p.Exit, p.Enter)
	return p
}

// Saved is what survives a restart of the agent.
type Saved struct {
	State State     `json:"state"`
	Since time.Time `json:"since"`
	// Seen is the time of the last verdict.
	Seen time.Time `json:"seen"`
	By   Source    `json:"by"`
	// SetPoint is the last one seen, in amperes: a furnace may stand still with its
	// controller's cleared when the agent comes back.
	SetPoint float64 `json:"set_point,omitempty"`
}

// Save is what a later Resume takes.
func (m *Machine) Save(now time.Time) Saved {
	return Saved{State: m.status.State, Since: m.status.Since, Seen: now, By: m.by, SetPoint: m.setPoint}
}

// Resume takes up an abnormal state that was seen less than ten minutes before now:
// it is held until a live sense says otherwise. One seen after now is taken up too:
// the clock is behind, as after a power cut on a box without one of its own, and an
// alarm too many is better than one dropped. Any other state is determined again; the
// set-point is always restored.
func (m *Machine) Resume(s Saved, now time.Time) {
	m.see(s.SetPoint, s.SetPoint) // it was believed
	age := now.Sub(s.Seen)
	if s.State != Abnormal || age > resumeWithin {
		return
	}
	m.status = Status{State: Abnormal, Since: s.Since, Held: true}
	m.by = s.By
}

// SetParams changes the filter; what is known of the last seconds stays.
func (m *Machine) SetParams(p Params) { m.params = p.consistent() }

// Acknowledge lets go of an abnormal state that is only held. It reports whether
// there was one.
func (m *Machine) Acknowledge(now time.Time) bool {
	if m.status.State != Abnormal || !m.status.Held {
		return false
	}
	m.enter(Unknown, now, "acknowledged by operator")
	return true
}

// Step takes one second's verdict.
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

// standsStill handles a furnace that draws next to nothing: whatever the model
// makes of a window of zeros does not count. A meter that dies ends it, since a
// melt may start unseen.
func (m *Machine) standsStill(v Verdict) bool {
	m.see(v.SetPoint, v.Amperes)
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

// see takes a set-point, unless it is a mark or was cleared. Without a configured
// normal current, a set-point above what known furnaces draw is accepted only once a
// current, in amperes, has come near it: with a corrupt one every current would count
// as off.
func (m *Machine) see(setPoint, amperes float64) {
	normal := m.params.NormalCurrent
	if normal <= 0 && setPoint > recordCurrent {
		normal = max(amperes, m.setPoint) // NaN where nothing was read
	}
	if setPoint > 0 && (normal <= 0 && setPoint <= recordCurrent || setPoint <= setPointRatio*normal && setPoint >= normal/setPointRatio) {
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
		return nothing
	}
}

// restart reports whether this is the second in which current came back.
func (m *Machine) restart(v Verdict) bool {
	if m.status.State != Off {
		return false
	}
	m.status.Restarted = true
	m.enter(Warming, v.Time, "current is back")
	return true
}

// Enough reports whether the senses have shown enough for a verdict: half a
// minute of current, or every frame of the window.
func (v Verdict) Enough() bool {
	return v.CurrentLive && v.CurrentSeconds >= firstSeconds || v.VideoLive && v.VideoFull
}

// warming reports whether a sense has not yet shown all that it will: a furnace that
// is warming up is not yet judged by every means.
func (v Verdict) warming() bool {
	if v.CurrentAside {
		return v.VideoLive && !v.VideoFull
	}
	return v.CurrentLive && v.CurrentSeconds < warmSeconds
}

// decided reports whether the second has a verdict that rests on enough.
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
	// Seconds apart do not make a mean.
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
		// The rule knows current alone; the model may have seen the shell glow. And
		// the alarm may come from the current that can no longer be read.
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
