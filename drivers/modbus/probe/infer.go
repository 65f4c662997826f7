package probe

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"meltwatch/config"
	"meltwatch/drivers"
)

// Area is the registers that one unit answers to one function.
type Area struct {
	Unit int `json:"unit"`
	// Function is 3 (holding registers) or 4 (input registers).
	Function int `json:"function"`
	// First is the address of Words[0] as it goes over the wire, from 0.
	First int `json:"first"`
	// Words are the contents of each register, oldest reading first; nil where the
	// register was not answered at every reading.
	Words [][]uint16 `json:"words"`
}

// at is the readings of one register, nil outside the area.
func (a Area) at(register int) []uint16 {
	if i := register - a.First; i >= 0 && i < len(a.Words) {
		return a.Words[i]
	}
	return nil
}

// start is the first register of the answered stretch that holds the register.
func (a Area) start(register int) int {
	for a.at(register-1) != nil {
		register--
	}
	return register
}

// Candidate is three values that can be the phases' currents, and how they are read.
type Candidate struct {
	Unit     int    `json:"unit"`
	Function int    `json:"function"`
	Type     string `json:"type"`
	Order    string `json:"order"`
	// Scale turns the raw values into amperes; a phase with a reversed transformer has
	// it negative.
	Scale [drivers.Phases]float64 `json:"scale"`
	// Address of each phase as it goes over the wire, from 0.
	Address [drivers.Phases]int `json:"address"`
	// Current is the mean of each phase's readings, in amperes.
	Current [drivers.Phases]float64 `json:"current_a"`
	// Variation is the mean step between two readings, as a share of the mean, over
	// the phases.
	Variation float64 `json:"variation"`
	// Score orders the candidates; Reasons say what it is made of.
	Score   float64  `json:"score"`
	Reasons []string `json:"reasons"`
	// SetPoint is the most plausible set-point, nil if there is none.
	SetPoint *SetPoint `json:"set_point,omitempty"`
	// Same lists other interpretations that have given the same amperes so far.
	Same []string `json:"same,omitempty"`
}

// SetPoint is a constant near the currents' mean.
type SetPoint struct {
	Address int     `json:"address"`
	Type    string  `json:"type"`
	Order   string  `json:"order"`
	Scale   float64 `json:"scale"`
	Value   float64 `json:"value_a"`
	// Others are the addresses of further constants that would fit.
	Others []int `json:"others,omitempty"`
}

// mean is the phases' mean, in amperes.
func (c Candidate) mean() float64 {
	return (c.Current[0] + c.Current[1] + c.Current[2]) / drivers.Phases
}

// addresses are the quantities' addresses in a base.
func (c Candidate) addresses(base int) map[string]int {
	all := map[string]int{
		config.FieldCurrentA: c.Address[0] + base, config.FieldCurrentB: c.Address[1] + base, config.FieldCurrentC: c.Address[2] + base,
	}
	if c.SetPoint != nil {
		all[config.FieldSetPoint] = c.SetPoint.Address + base
	}
	return all
}

func (c Candidate) String() string {
	return fmt.Sprintf("unit %d, function %d, registers %d %d %d, %s %s, scale %g",
		c.Unit, c.Function, c.Address[0], c.Address[1], c.Address[2], c.Type, c.Order, math.Abs(c.Scale[0]))
}

// kind is a way to read a value.
type kind struct{ typ, order string }

func (k kind) registers() int { return config.Field{Type: k.typ}.Registers() }

// kinds are all ways, the usual ones first.
var kinds = func() (all []kind) {
	for _, typ := range []string{"float32", "int32", "uint32"} {
		for _, order := range config.ByteOrders {
			all = append(all, kind{typ, order})
		}
	}
	for _, order := range []string{"ABCD", "BADC"} {
		all = append(all, kind{"int16", order}, kind{"uint16", order})
	}
	return all
}()

const (
	// mostRegisters bounds an area: larger ones are cut.
	mostRegisters = 500
	// maxStride bounds the distance between two phases, in registers.
	maxStride = 24
	// mostCandidates are kept.
	mostCandidates = 5
	// leastCurrent and mostCurrent bound an arc furnace's phases, in amperes, where
	// nothing is expected.
	leastCurrent, mostCurrent = 2_000, 20_000
	// leastScore is what a candidate must have to be named, likelyScore what it must have
	// to be called likely, and likelyLead what it must be ahead of the next by.
	leastScore, likelyScore, likelyLead = 0, 4, 1.5
)

// Infer looks for the phases' currents among the registers. expected is the usual
// current in amperes, 0 if unknown. The best candidate comes first; there may be none.
func Infer(areas []Area, expected float64) []Candidate {
	var all []Candidate
	for _, a := range areas {
		all = append(all, inferArea(a, expected)...)
	}
	return rank(all)
}

func inferArea(a Area, expected float64) (all []Candidate) {
	a.Words = a.Words[:min(len(a.Words), mostRegisters)]
	read := decodeArea(a)
	for _, k := range kinds {
		for r := range a.Words {
			first := read.of(k, a.First+r)
			if first == nil || !first.changes {
				continue
			}
			for stride := k.registers(); stride <= maxStride; stride++ {
				second, third := read.of(k, first.register+stride), read.of(k, first.register+2*stride)
				if second == nil || third == nil || !second.changes || !third.changes {
					continue
				}
				phases := [drivers.Phases]*value{first, second, third}
				for _, scale := range scalesOf(k.typ, expected) {
					if c, ok := assess(read, k, phases, scale, expected); ok && c.Score >= leastScore {
						all = append(all, c)
					}
				}
			}
		}
	}
	return rank(all)
}

// rank orders candidates and merges those that give the same amperes.
func rank(all []Candidate) []Candidate {
	slices.SortStableFunc(all, func(a, b Candidate) int { return cmp.Compare(b.Score, a.Score) })
	var kept []Candidate
	for _, c := range all {
		same := slices.IndexFunc(kept, func(better Candidate) bool { return sameAmperes(better, c) })
		switch {
		case same >= 0:
			if len(kept[same].Same) < mostCandidates {
				kept[same].Same = append(kept[same].Same, c.String())
			}
		case len(kept) < mostCandidates:
			kept = append(kept, c)
		}
	}
	return kept
}

func sameAmperes(a, b Candidate) bool {
	for phase := range a.Current {
		if math.Abs(a.Current[phase]-b.Current[phase]) > 1e-9*math.Abs(a.Current[phase]) {
			return false
		}
	}
	return a.Unit == b.Unit
}

// Likely reports whether the first candidate stands out. The same registers of another
// unit or function do not speak against it: the device may give them twice.
func Likely(found []Candidate) bool {
	if len(found) == 0 || found[0].Score < likelyScore {
		return false
	}
	best := found[0]
	return !slices.ContainsFunc(found[1:], func(c Candidate) bool {
		again := c.Address == best.Address && c.Type == best.Type && c.Order == best.Order && c.Scale == best.Scale
		return !again && best.Score-c.Score < likelyLead
	})
}

// scalesOf are the scales that are tried. A float is in amperes or kiloamperes, unless
// the usual current says otherwise.
func scalesOf(typ string, expected float64) []float64 {
	if typ == "float32" && expected <= 0 {
		return []float64{1, 1000}
	}
	return []float64{1, 10, 0.1, 0.01, 1000}
}

// inBounds reports whether a mean current is possible.
func inBounds(amperes, expected float64) bool {
	if expected > 0 {
		return amperes >= 0.3*expected && amperes <= 2*expected
	}
	return amperes >= leastCurrent && amperes <= mostCurrent
}
