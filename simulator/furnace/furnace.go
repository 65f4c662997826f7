// Package furnace simulates a fused-magnesium furnace: one hidden state drives the
// three-phase current and everything that the camera sees, and is the truth against which
// a model of the two is scored.
//
// A Scenario is a plan of events, written by hand or drawn from a seed by Draw. A Batch
// holds what stays the same for one melt. New makes a Furnace of the two, which is
// stepped forward Tick by Tick; its State is a value and may be kept. The same scenario, batch and seeds give the same
// values on every machine of one architecture.
//
// Units: seconds from the start of the scenario, amperes RMS, shares 0–1. The
// current has a new value each Period (2 Hz), everything visible each Tick.
//
// Severity is the shell's state, 0 sound to 1 burning through. A second is
// labelled abnormal from severity ScoredFrom until recovery starts, normal
// while the furnace works at severity 0, and is not scored otherwise.
//
// A Furnace is not safe for concurrent use.
package furnace

import (
	"math/rand/v2"

	"meltwatch/simulator/house"
)

// Tick is the step of everything that moves, in seconds; ticksPerPeriod of them
// make a Period of the PLC.
const (
	Tick           = 0.02
	ticksPerPeriod = 25
)

// Label is the truth about one second.
type Label int

// The labels.
const (
	NotScored   Label = -1
	SoundShell  Label = 0
	BurningOver Label = 1
)

// Truth is what no sensor reports.
type Truth struct {
	State    Name
	Severity float64
	Label    Label
	// Onset is when the running episode's severity left 0; meaningful while
	// Episode is above 0.
	Onset   float64
	Episode int
	Kind    Kind
	// NearNormal and Hidden say which sense is blind in this second.
	NearNormal, Hidden bool
}

// PLC is one packet of the furnace's controller.
type PLC struct {
	Current     [3]float32 // amperes
	SetPoint    float32    // amperes
	Voltage     [3]float32 // volts
	ManualSpeed float32    // share of the full electrode speed
	Rotation    float32    // revolutions a minute of the electrode motors
	Action      [3]float32 // electrode drive, −10…+10, positive raises
	Manual      bool
	Feeding     bool
	Exhaust     bool
}

// Faults are the senses' own, not the furnace's.
type Faults struct {
	MeterGap     bool // the meter does not answer
	MeterStuck   bool // its registers keep their values
	CameraGap    bool // no frame arrives
	CameraFrozen bool // the last frame comes again
}

// State is the furnace at one instant.
type State struct {
	Time    float64
	Truth   Truth
	PLC     PLC
	Picture Picture
	Faults  Faults
}

// Furnace walks through a scenario.
type Furnace struct {
	batch    Batch
	timeline *timeline
	arcs     *arcs
	circuit  house.Circuit // takes the place of arcs; nil in this house
	picture  *painter
	ticks    int
	state    State
	levels   [len(causes)]float64
	events   [len(causes)]Nuisance
	meter    *rand.Rand
}

// New sets up a furnace at time 0. electric and picture are seeds: the first
// draws the current's fluctuation and kind of each episode, the second how each
// hot spot looks and the picture's own movements.
func New(s Scenario, b Batch, electric, picture uint64) *Furnace {
	f := setUp(s, b, electric, picture)
	f.tick()
	return f
}

func setUp(s Scenario, b Batch, electric, picture uint64) *Furnace {
	if s.SetPoint > 0 {
		b.SetPoint = s.SetPoint
	}
	return &Furnace{
		batch:    b,
		timeline: newTimeline(s, stream(electric, streamEpisodes), stream(picture, streamEpisodes)),
		arcs:     newArcs(b, stream(electric, streamMeter)),
		picture:  newPainter(b, stream(picture, streamPicture)),
		meter:    stream(electric, streamElectric),
	}
}

// State is the furnace now.
func (f *Furnace) State() State { return f.state }

// Batch is the furnace's batch, with the scenario's set-point.
func (f *Furnace) Batch() Batch { return f.batch }

// AdvanceTo steps to the last Tick at or before t seconds and returns the state
// there. Time does not go back: an earlier t returns the present state.
func (f *Furnace) AdvanceTo(t float64) State {
	for float64(f.ticks)*Tick <= t+1e-9 {
		f.tick()
	}
	return f.state
}

// tick computes the state at the next tick.
func (f *Furnace) tick() {
	t := float64(f.ticks) * Tick
	span := f.timeline.at(t)
	if f.ticks%ticksPerPeriod == 0 {
		f.period(t, span)
	}
	f.state.Time = t
	f.picture.tick()
	f.state.Picture = f.picture.now
	f.ticks++
}

// period computes what changes with the PLC's clock: events, current, truth,
// and the targets of what moves in between.
func (f *Furnace) period(t float64, s span) {
	for i := range f.timeline.tracks {
		f.levels[i], f.events[i] = f.timeline.tracks[i].level(t, fades[i])
	}
	f.state.Truth = f.truth(t, s)
	before := f.arcs.out
	var offsets [3]float64
	if s.episode != nil {
		offsets = s.episode.offsets
	}
	var now [3]float64
	if f.circuit != nil {
		now = f.circuit.Next(f.demand(t, s))
		f.arcs.out = now
	} else {
		now = f.arcs.step(f.regime(t, s), offsets)
	}
	f.state.PLC = f.packet(now, s)
	f.state.Faults = Faults{
		MeterGap: f.levels[atMeterGap] > 0, MeterStuck: f.levels[atMeterStuck] > 0,
		CameraGap: f.levels[atCameraGap] > 0, CameraFrozen: f.levels[atCameraFrozen] > 0,
	}
	f.picture.aim(f.scene(t, s, before, now))
}

// Indexes of the causes in their table.
const (
	atFeed = iota
	atExhaust
	atManual
	atCalm
	atNearNormal
	atArcLost
	atSlip
	atMeterStuck
	atMeterGap
	atMist
	atExposure
	atPasserBy
	atSparks
	atCinder
	atHidden
	atCameraGap
	atCameraFrozen
)

// fades are the seconds over which each cause comes and goes.
var fades = [len(causes)]float64{
	atCalm: 4, atNearNormal: 5, atMist: 1.5, atExposure: 2, atSparks: 0.5, atCinder: 2, atHidden: 2,
}

func (f *Furnace) truth(t float64, s span) Truth {
	k := Truth{State: s.State, Severity: s.severity(t), NearNormal: f.levels[atNearNormal] > 0, Hidden: f.levels[atHidden] > 0}
	if s.episode != nil {
		k.Onset, k.Episode, k.Kind = s.episode.onset, s.episode.number, s.episode.kind
	}
	k.Label = NotScored
	switch s.State {
	case Normal, Feeding, Exhaust:
		k.Label = SoundShell
		k.State = f.working(s.State)
	case Ramp, Abnormal:
		if k.Severity >= ScoredFrom {
			k.Label = BurningOver
		}
	}
	return k
}

// working refines normal work by what overlays it.
func (f *Furnace) working(name Name) Name {
	switch {
	case f.levels[atArcLost] > 0:
		return Extinction
	case f.levels[atSlip] > 0:
		return Slip
	case f.levels[atFeed] > 0:
		return Feeding
	case f.levels[atExhaust] > 0:
		return Exhaust
	}
	return name
}

func (f *Furnace) packet(now [3]float64, s span) PLC {
	p := PLC{
		SetPoint: float32(f.batch.SetPoint), Rotation: 12,
		Manual:  f.levels[atManual] > 0,
		Feeding: f.levels[atFeed] > 0 || s.State == Feeding,
		Exhaust: f.levels[atExhaust] > 0 || s.State == Exhaust,
	}
	for i := range now {
		p.Current[i] = float32(now[i])
		p.Action[i] = float32(f.arcs.drive[i])
		// The transformer's voltage gives way under load.
		p.Voltage[i] = float32(130 - 0.0018*(now[i]-f.batch.SetPoint) + 0.4*f.meter.NormFloat64())
	}
	if p.Manual {
		p.ManualSpeed = 0.3
	}
	return p
}
