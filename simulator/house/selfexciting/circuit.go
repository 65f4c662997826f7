package selfexciting

import (
	"math"
	"math/rand/v2"
)

const (
	// arcVoltage is the arc's voltage at the set-point. With a resistance of 0.2 and a
	// reactance of 0.63 all three arcs draw 1, and two draw 0.75 once the third is out.
	arcVoltage = 0.575
	// shortest and longest bound the arc's voltage: electrode in the pool, arc about to go
	// out.
	shortest, longest = 0.06, 1.1
	// slipVoltage is what an electrode that has slipped fully takes from its arc, and
	// restrikeVoltage is the voltage of arcs that have just been struck. One arc alone
	// then draws about 1.2, three draw 1.3.
	slipVoltage, restrikeVoltage = 0.5, 0.25
	// least is the conductance that a lengthened arc keeps: it strikes again by itself.
	least = 0.05
	// approach is the share of the way to its rest that the arc's conductance goes in a
	// step: hot gas keeps the arc for some hundredths of a second.
	approach = 0.8
)

// star is the circuit: three arcs with the lines' impedance and no neutral conductor.
type star struct {
	resistance, reactance [3]float64
	conductance           [3]float64 // of the arcs
	out                   [3]bool
}

// The supply's phase voltages, real and imaginary part.
var (
	supplyRe = [3]float64{1, -0.5, -0.5}
	supplyIm = [3]float64{0, -math.Sqrt(3) / 2, math.Sqrt(3) / 2}
)

func newStar(m melt) star {
	s := star{resistance: m.resistance, reactance: m.reactance}
	for p := range s.conductance {
		s.conductance[p] = 1 / arcVoltage
	}
	return s
}

// advance moves the arcs by one step towards the voltages and returns the currents. An
// arc that is out lets 100–300 A pass.
func (s *star) advance(voltage [3]float64, out [3]bool, random *rand.Rand, setPoint float64) [3]float64 {
	for p := range out {
		switch {
		case out[p] && !s.out[p]:
			s.conductance[p] = (120 + 120*random.Float64()) / setPoint / 1.5
		case s.out[p] && !out[p]:
			s.conductance[p] = 1 / arcVoltage
		}
		s.out[p] = out[p]
	}
	current := s.solve()
	for p, i := range current {
		if !out[p] {
			rest := i / max(shortest, min(longest, voltage[p]))
			s.conductance[p] = max(least, s.conductance[p]+approach*(rest-s.conductance[p]))
		}
	}
	return current
}

// solve returns the currents for the arcs' conductances: Millman's theorem gives the
// voltage of the star point.
func (s *star) solve() (current [3]float64) {
	var re, im [3]float64 // admittances
	var sumRe, sumIm, topRe, topIm float64
	for p := range 3 {
		r, x := s.resistance[p]+1/s.conductance[p], s.reactance[p]
		square := r*r + x*x
		re[p], im[p] = r/square, -x/square
		sumRe, sumIm = sumRe+re[p], sumIm+im[p]
		topRe += supplyRe[p]*re[p] - supplyIm[p]*im[p]
		topIm += supplyRe[p]*im[p] + supplyIm[p]*re[p]
	}
	square := sumRe*sumRe + sumIm*sumIm
	starRe, starIm := (topRe*sumRe+topIm*sumIm)/square, (topIm*sumRe-topRe*sumIm)/square
	for p := range current {
		a, b := supplyRe[p]-starRe, supplyIm[p]-starIm
		current[p] = math.Sqrt((a*a + b*b) * (re[p]*re[p] + im[p]*im[p]))
	}
	return current
}
