package impedance

import (
	"math"
	"math/rand/v2"

	"meltwatch/simulator/house"
)

var phasors = [3]complex128{1, complex(-0.5, -math.Sqrt(3)/2), complex(-0.5, math.Sqrt(3)/2)}

// plant is what the melt's shop has: a stiff or weak supply, regulators quick or slow.
type plant struct {
	resistance, reactance float64    // of a lead and the grid behind it
	earthing              complex128 // admittance from the bath to the supply's neutral
	voltage               float64    // of an arc in balance
	slip                  float64    // share of the length that a full slip takes
	inertia               float64    // seconds, of an arc's store of heat
	filter                float64    // seconds, of the regulator's view
	band                  float64    // relative error of impedance that it leaves alone
	speed                 float64    // arc lengths a second
}

func newPlant(r *rand.Rand) plant {
	p := plant{
		resistance: 0.04 + 0.05*r.Float64(), reactance: 0.50 + 0.16*r.Float64(),
		inertia: 0.18 + 0.16*r.Float64(), filter: 0.8 + 1.2*r.Float64(),
		band: 0.06 + 0.05*r.Float64(), speed: 0.02 + 0.03*r.Float64(),
	}
	if r.Float64() < 0.75 { // star: the bath lies at the neutral, more or less
		p.earthing = complex(1.4+4.6*r.Float64(), -0.5*r.Float64())
	}
	p.voltage = p.arcVoltage(1)
	p.slip = 1 - p.arcVoltage(slipRise)/p.voltage
	return p
}

// arcVoltage is what the leads leave at a current: |1|² = (U + I·R)² + (I·X)².
func (p plant) arcVoltage(i float64) float64 {
	return math.Sqrt(max(1-i*i*p.reactance*p.reactance, 0.02)) - i*p.resistance
}

// grid is the supply's voltage and the tap changer that holds it.
type grid struct {
	weakness float64 // relative spread of the drift
	drift    float64
	skew     [3]float64 // lasting differences of the phases
	tap      float64    // relative, in steps of tapStep
	mean     float64    // of the current, as the tap changer sees it
	wait     float64    // seconds until it may step again
}

const (
	driftTime = 240.0 // seconds
	tapStep   = 0.012
	tapWait   = 45.0 // seconds between steps
	tapFilter = 60.0 // seconds
)

func newGrid(r *rand.Rand) grid {
	g := grid{weakness: 0.0015 + 0.0045*r.Float64(), mean: 1, wait: tapWait}
	g.drift = g.weakness * r.NormFloat64()
	for p := range g.skew {
		g.skew[p] = 0.004 * r.NormFloat64()
	}
	return g
}

func (g *grid) voltage(p int) float64 { return 1 + g.drift + g.tap + g.skew[p] }

func (g *grid) next(r *rand.Rand, d house.Demand, now [3]float64) {
	g.drift += -g.drift*step/driftTime + g.weakness*math.Sqrt(2*step/driftTime)*r.NormFloat64()
	if d.Lost >= 0 || d.Power < 1 || d.Manual {
		return
	}
	g.mean += ((now[0]+now[1]+now[2])/3 - g.mean) * step / tapFilter
	g.wait -= step
	if err := 1 - g.mean; g.wait <= 0 && math.Abs(err) > 0.045 {
		g.tap = min(max(g.tap+math.Copysign(tapStep, err), -0.036), 0.036)
		g.wait = tapWait
	}
}

// mood is how one episode quietens the pool.
type mood struct {
	episode int
	left    float64 // of the mobility when quiet
	outages float64 // rectangular losses a second
}

var kinds = [...]house.Kind{house.Flat, house.Reduced, house.Reduced}

func newMood(r *rand.Rand, d house.Demand) mood {
	m := mood{episode: d.Episode, left: 1}
	a, b := r.Float64(), r.Float64()
	switch {
	case d.Episode == 0:
	case d.Kind == house.Flat:
		m.left = 0.07 + 0.12*a
	default:
		m.left = 0.35 + 0.30*a
	}
	if d.Episode > 0 && d.Kind == house.DropOuts {
		m.outages = 1 / (35 + 60*b)
	}
	return m
}

// outage is a rectangular loss of one or all phases.
type outage struct {
	left  int // samples
	phase int // −1: all
}

func (o *outage) next(r *rand.Rand, d house.Demand, rate float64) {
	if o.left > 0 {
		o.left--
		return
	}
	if d.Lost < 0 && r.Float64() < rate*d.Quiet*house.Period {
		*o = outage{left: 2 + r.IntN(9), phase: r.IntN(3)}
		if r.Float64() < 0.4 {
			o.phase = -1
		}
	}
}
