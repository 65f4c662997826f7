package feedback

import (
	"math"
	"math/cmplx"
	"math/rand/v2"
)

// brokenArc is the resistance of an arc that is out, as a share of the impedance at the
// set-point.
const brokenArc = 80

// shortest is the shortest arc in millimetres: below it the electrode touches the melt.
const shortest = 2

// star is three arcs in star connection whose neutral, the bath, floats. Impedances and
// voltages are shares of their values at the set-point.
type star struct {
	bathResistance float64    // from the arc's foot to the neutral
	gradient       float64    // resistance for each millimetre of arc
	length         float64    // millimetres of arc at the set-point
	reactance      [3]float64 // of the bus bars, which differ: the middle phase has the shortest loop
	ground         float64    // admittance from the bath through the shell to earth
	source         [3]complex128
}

// newStar draws a circuit. Its power factor sets how much a disturbance of one phase
// shows in the two others: at 0.8–0.9 the phases correlate by about a third.
func newStar(r *rand.Rand) star {
	factor := uniform(r, 0.8, 0.88)
	s := star{length: uniform(r, 55, 90), ground: uniform(r, 0.0, 0.12)}
	s.bathResistance = factor * uniform(r, 0.2, 0.35)
	s.gradient = (factor - s.bathResistance) / s.length
	reactance := math.Sqrt(1 - factor*factor)
	middle := r.IntN(3)
	for p := range s.source {
		s.reactance[p] = reactance * uniform(r, 0.98, 1.04)
		if p == middle {
			s.reactance[p] *= uniform(r, 0.93, 0.98)
		}
		s.source[p] = cmplx.Rect(1, -2*math.Pi/3*float64(p))
	}
	return s
}

// arc is the resistance of an arc that is deviation millimetres longer than at the
// set-point.
func (s star) arc(deviation float64) float64 {
	length := s.length + deviation
	if length < 3*shortest {
		// A short arc bends sideways, so it shortens less than the electrode falls.
		length = shortest * (1 + 2*math.Exp((length-3*shortest)/(2*shortest)))
	}
	return s.bathResistance + s.gradient*length
}

// solve returns the magnitudes of the phase currents for the arcs' resistances. The
// neutral takes the voltage at which the currents add up to nothing, but for what the
// shell leads to earth.
func (s star) solve(resistance [3]float64) (current [3]float64) {
	var admittance [3]complex128
	sum, total := complex(0, 0), complex(s.ground, 0)
	for p := range resistance {
		admittance[p] = 1 / complex(resistance[p], s.reactance[p])
		sum += s.source[p] * admittance[p]
		total += admittance[p]
	}
	neutral := sum / total
	for p := range current {
		v := (s.source[p] - neutral) * admittance[p]
		current[p] = math.Hypot(real(v), imag(v))
	}
	return current
}
