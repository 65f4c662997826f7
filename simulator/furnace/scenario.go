package furnace

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"go.yaml.in/yaml/v3"
)

// Name is the name of a furnace state.
type Name string

// The states of the furnace. Feeding and Exhaust are normal work.
const (
	Off             Name = "off"
	Startup         Name = "startup"
	Normal          Name = "normal"
	Feeding         Name = "feeding"
	Exhaust         Name = "exhaust"
	Ramp            Name = "ramp" // onset: severity rises from 0 to 1
	Abnormal        Name = "abnormal"
	Recovery        Name = "recovery"
	Overheating     Name = "overheating"
	AbnormalExhaust Name = "abnormal_exhaust"
	Trip            Name = "trip"
	// Extinction and Slip are short events of normal work; they appear as the
	// state's name but are planned as nuisances.
	Extinction Name = "extinction"
	Slip       Name = "electrode_slip"
)

// Kind is how the current behaves in an abnormal episode.
type Kind string

// The kinds of abnormal current.
const (
	Flat     Kind = "flat"
	Reduced  Kind = "reduced"
	DropOuts Kind = "drop_outs"
)

// Cause is the name of a nuisance or of an activity that overlays the states.
type Cause string

// What can overlay the states.
const (
	DoFeed       Cause = "feeding"
	DoExhaust    Cause = "exhaust"
	DoManual     Cause = "manual"
	Calm         Cause = "calm"        // a normal furnace goes quiet for a while
	NearNormal   Cause = "near_normal" // an abnormal one fluctuates as if normal
	ArcLost      Cause = "extinction"  // one phase loses its arc
	ElectrodeRun Cause = "electrode_slip"
	MeterStuck   Cause = "meter_stuck" // the registers stop changing
	MeterGap     Cause = "meter_gap"   // no sample arrives
	Mist         Cause = "mist"
	Exposure     Cause = "exposure" // the camera is driven dark or white
	PasserBy     Cause = "passer_by"
	Sparks       Cause = "sparks"
	Cinder       Cause = "cinder" // a cinder glows on the shell and dies
	Hidden       Cause = "hidden" // crust or spray covers the hot spot
	CameraGap    Cause = "camera_gap"
	CameraFrozen Cause = "camera_frozen"
)

// causes fixes each overlay's index in the furnace's tracks.
var causes = [...]Cause{
	DoFeed, DoExhaust, DoManual, Calm, NearNormal, ArcLost, ElectrodeRun, MeterStuck, MeterGap,
	Mist, Exposure, PasserBy, Sparks, Cinder, Hidden, CameraGap, CameraFrozen,
}

var names = []Name{
	Off, Startup, Normal, Feeding, Exhaust, Ramp, Abnormal, Recovery, Overheating, AbnormalExhaust, Trip,
}

// Segment is a stretch of one state.
type Segment struct {
	State   Name    `yaml:"state"`
	Seconds float64 `yaml:"seconds"`
	// Current is the kind of the episode that a ramp (or an abnormal segment
	// without one) begins; empty means flat in a script.
	Current Kind `yaml:"current,omitempty"`
}

// Nuisance is an overlay: it begins At seconds and lasts Seconds.
type Nuisance struct {
	Cause   Cause   `yaml:"cause"`
	At      float64 `yaml:"at"`
	Seconds float64 `yaml:"seconds"`
	// Strength is 0–1 for most causes (0 stands for 1); for exposure it is −1
	// (dark) to 1 (white).
	Strength float64 `yaml:"strength,omitempty"`
}

// Scenario is a furnace's plan, known before it runs: the states, their lengths, and what
// disturbs the senses.
type Scenario struct {
	Name string `yaml:"name"`
	// Seed draws everything that the scenario does not set.
	Seed      uint64     `yaml:"seed"`
	Segments  []Segment  `yaml:"segments"`
	Nuisances []Nuisance `yaml:"nuisances"`
	// SetPoint in amperes overrides the batch's; 0 keeps it.
	SetPoint float64 `yaml:"set_point,omitempty"`
}

// ReadScenario reads a scenario from a YAML file; unknown keys are errors.
func ReadScenario(path string) (Scenario, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Scenario{}, fmt.Errorf("read scenario: %w", err)
	}
	s, err := parseScenario(text)
	if err != nil {
		return Scenario{}, fmt.Errorf("parse scenario %s: %w", path, err)
	}
	return s, nil
}

func parseScenario(text []byte) (Scenario, error) {
	var s Scenario
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	// An empty file decodes to an empty scenario, which Validate refuses.
	if err := d.Decode(&s); err != nil && !errors.Is(err, io.EOF) {
		return Scenario{}, err
	}
	return s, s.Validate()
}

// Validate returns every error of the scenario.
func (s Scenario) Validate() error {
	var faults []error
	fault := func(format string, values ...any) { faults = append(faults, fmt.Errorf(format, values...)) }
	if len(s.Segments) == 0 {
		fault("segments: empty, list at least one {state, seconds}")
	}
	for i, g := range s.Segments {
		if !slices.Contains(names, g.State) {
			fault("segments[%d].state: %q is not one of %v", i, g.State, names)
		}
		if !(g.Seconds > 0 && g.Seconds <= 1e6) {
			fault("segments[%d].seconds: %v is not within (0, 1e6]", i, g.Seconds)
		}
		if g.Current != "" && g.Current != Flat && g.Current != Reduced && g.Current != DropOuts {
			fault("segments[%d].current: %q is not flat, reduced or drop_outs", i, g.Current)
		}
	}
	for i, n := range s.Nuisances {
		if !slices.Contains(causes[:], n.Cause) {
			fault("nuisances[%d].cause: %q is not one of %v", i, n.Cause, causes)
		}
		if !(n.At >= 0 && n.Seconds > 0 && n.Seconds <= 1e6) {
			fault("nuisances[%d]: at %v for %v s: invalid time", i, n.At, n.Seconds)
		}
		if !(n.Strength >= -1 && n.Strength <= 1) {
			fault("nuisances[%d].strength: %v is not within -1 to 1", i, n.Strength)
		}
	}
	return errors.Join(faults...)
}

// Seconds returns the scenario's length.
func (s Scenario) Seconds() float64 {
	var sum float64
	for _, g := range s.Segments {
		sum += g.Seconds
	}
	return sum
}

// ShortDemo returns a melt that becomes abnormal within seconds, so that an alarm is seen
// in two minutes.
func ShortDemo() Scenario {
	return Scenario{
		Name: "short demo", Seed: 1, SetPoint: 15000,
		Segments: []Segment{
			{State: Normal, Seconds: 25},
			{State: Abnormal, Seconds: 600},
		},
		Nuisances: []Nuisance{{Cause: Sparks, At: 8, Seconds: 5}},
	}
}

// Demo returns the scenario of the demo: normal work with every disturbance that must not
// raise an alarm, a ramp, an abnormal stretch and the recovery.
func Demo() Scenario {
	return Scenario{
		Name: "demo", Seed: 1, SetPoint: 15000,
		Segments: []Segment{
			{State: Normal, Seconds: 150},
			{State: Ramp, Seconds: 120, Current: Flat},
			{State: Abnormal, Seconds: 90},
			{State: Recovery, Seconds: 90},
			{State: Normal, Seconds: 150},
		},
		Nuisances: []Nuisance{
			{Cause: DoFeed, At: 30, Seconds: 35},
			{Cause: Mist, At: 45, Seconds: 12, Strength: 0.8},
			{Cause: Exposure, At: 75, Seconds: 20, Strength: 0.9},
			{Cause: Exposure, At: 110, Seconds: 15, Strength: -0.9},
			{Cause: DoExhaust, At: 128, Seconds: 15},
			{Cause: Sparks, At: 20, Seconds: 5},
			{Cause: PasserBy, At: 100, Seconds: 5},
			{Cause: Mist, At: 250, Seconds: 8, Strength: 0.6},
		},
	}
}
