package feedback

import (
	"math"
	"math/rand/v2"
)

// regulator moves one electrode by a hydraulic cylinder so that its current stays at the
// set-point. Currents are shares of the set-point, heights millimetres above the place
// where the arc has its nominal length.
type regulator struct {
	height   float64
	velocity float64 // mm/s
	filtered float64 // the current as the regulator measures it
	offset   float64 // of its own current transformer

	deadBand  float64 // share of the set-point
	gain      float64 // mm/s for each unit of error
	notch     float64 // mm/s for each step of the valve
	fastest   float64 // mm/s
	slew      float64 // mm/s², how fast the valve opens
	smoothing float64 // seconds
	stroke    float64 // mm each way

	line [2 * steps]float64 // commands on their way to the valve
	next int
	wait int // steps from a command to the valve
}

// newRegulator draws a regulator. The dead band is wide, since falling charge should not
// move the electrode.
func newRegulator(r *rand.Rand) regulator {
	g := regulator{
		filtered:  1,
		offset:    0.012 * r.NormFloat64(),
		deadBand:  uniform(r, 0.05, 0.09),
		gain:      uniform(r, 14, 28),
		fastest:   uniform(r, 12, 25),
		slew:      uniform(r, 15, 40),
		smoothing: uniform(r, 0.4, 1.2),
		stroke:    uniform(r, 140, 200),
		wait:      6 + r.IntN(2*steps-6),
	}
	g.notch = g.fastest / float64(12+r.IntN(12))
	return g
}

// advance measures the current and moves the electrode for one step.
func (g *regulator) advance(current float64) {
	g.filtered += (current - g.filtered) * step / g.smoothing
	// Too much current raises the electrode.
	deviation := g.filtered + g.offset - 1
	command := 0.0
	if beyond := math.Abs(deviation) - g.deadBand; beyond > 0 {
		command = math.Copysign(g.gain*beyond, deviation)
	}
	// The valve opens in notches, and the first one needs half a notch of command.
	command = g.notch * math.Round(min(max(command, -g.fastest), g.fastest)/g.notch)
	g.move(command)
}

// hold closes the valve: the electrode comes to rest.
func (g *regulator) hold() { g.move(0) }

func (g *regulator) move(command float64) {
	late := g.line[(g.next+len(g.line)-g.wait)%len(g.line)]
	g.line[g.next] = command
	g.next = (g.next + 1) % len(g.line)
	g.velocity += min(max(late-g.velocity, -g.slew*step), g.slew*step)
	g.height = min(max(g.height+g.velocity*step, -g.stroke), g.stroke)
}
