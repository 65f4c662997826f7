// Package impedance is a family of currents: the furnace as an electrical load.
//
// A supply of three phasors feeds three arcs through leads with resistance and reactance.
// The bath joins the arcs in a point that floats (delta secondary) or is more or less
// earthed (star secondary), so that an arc that fails pulls the others along. Each arc is
// a nonlinear resistance after Cassie: its conductance grows while the electric power is
// above the losses, and the losses follow the length of the arc. Motors with a dead band
// and a speed limit move the electrodes towards a set impedance, not a set current, and a
// slow tap changer steps the voltage when the grid drifts.
//
// What is random: the plant (reactances, earthing, grid, regulators, drawn once a melt) and
// what disturbs the arc's length: convection rolls of the bath, gas bursts, cave-ins of the
// charge and a slow creep of the pool's level. In the semi-molten state the pool is viscous
// and its mobility, by which all four are multiplied, falls; nothing else changes.
//
// Units: seconds; voltage, current and impedance per unit of the nominal supply voltage and
// of the set-point (so a set-point only scales the current); lengths per unit of the arc's
// length in balance. The meter's values are in amperes.
package impedance

import (
	"math"
	"math/cmplx"
	"math/rand/v2"

	"meltwatch/simulator/house"
)

const (
	stream    = 0x1a9eda2ce // of the generator, apart from other users of the melt's seed
	steps     = 5           // of the network within a Period
	step      = house.Period / steps
	resting   = 1e-3 // conductance of a gap without an arc
	overshoot = 1.30 // of all phases when an arc strikes again
	lostTime  = 3.0  // seconds until it does
	sagged    = 0.75 // what is left of the other phases until then
	slipRise  = 1.30 // current of a phase whose electrode has slipped fully
	quantum   = 5.0  // amperes a count of the meter's converter
	offNoise  = 12.0 // amperes, the meter's noise
	seenMost  = 1.25 // of the set impedance: a dip must not drive the motors as a lasting fault does
	levelBias = 0.06 // mean lengthening by a live pool, taken off so that quiet keeps the level
)

// arc is one phase: the electrode, its regulator and the column of gas beneath.
type arc struct {
	lead      complex128 // impedance from the busbar to the electrode's tip
	logG      float64    // logarithm of the arc's conductance
	electrode float64    // its height, as arc length; 1 in balance
	seen      float64    // impedance as the regulator sees it, after its filter
	moving    float64    // +1 up, −1 down, 0 at rest
	set       float64    // the impedance that it is set to
	roll      roll
	burst     float64 // lengthening by gas, which fades in fractions of a second
	cave      float64 // lengthening (a hole) or shortening (a heap) by fallen charge
	creep     float64 // of the pool's level beneath the electrode
}

// Circuit is the load of one melt.
type Circuit struct {
	setPoint float64
	r        *rand.Rand
	plant    plant
	arcs     [3]arc
	vigour   float64
	grid     grid
	mood     mood
	calm     float64 // what is left of the mobility in the present calm spell
	calming  bool
	outage   outage
	nudge    float64 // seconds until the crew next touches a hand wheel
}

// New draws the plant of a melt.
func New(s house.Setting) house.Circuit {
	r := rand.New(rand.NewPCG(s.Seed, stream))
	c := &Circuit{setPoint: s.SetPoint, r: r, plant: newPlant(r), calm: 1}
	c.grid = newGrid(r)
	for p := range c.arcs {
		a := &c.arcs[p]
		lead := complex(c.plant.resistance, c.plant.reactance*(1+0.03*r.NormFloat64()))
		resistance := c.plant.voltage // at a current of 1
		*a = arc{lead: lead, logG: -math.Log(resistance), electrode: 1, roll: newRoll(r)}
		a.set = (1 + 0.012*r.NormFloat64()) * cmplx.Abs(lead+complex(resistance, 0))
		a.seen = a.set
	}
	return c
}

// Next runs the load for one Period.
func (c *Circuit) Next(d house.Demand) (amperes [3]float64) {
	mobility := c.mobility(d)
	c.outage.next(c.r, d, c.mood.outages)
	var square [3]float64
	for range steps {
		c.disturb(d, mobility)
		length := c.lengths(d, mobility)
		now := c.balance(length)
		c.regulate(d, now)
		for p := range now {
			square[p] += now[p] * now[p] / steps
		}
	}
	for p := range amperes {
		i := c.extinguish(d, p, math.Sqrt(square[p])) * d.Power * c.setPoint
		i += offNoise * c.r.NormFloat64()
		amperes[p] = min(max(math.Round(i/quantum)*quantum, 0), house.FullScale)
	}
	return amperes
}

// mobility is how freely the pool moves: 1 in normal work.
func (c *Circuit) mobility(d house.Demand) float64 {
	if d.Episode != c.mood.episode {
		c.mood = newMood(c.r, d)
	}
	if (d.Calm > 0) != c.calming {
		c.calming = d.Calm > 0
		if c.calming { // a calm spell is as quiet as one episode or another
			c.calm = newMood(c.r, house.Demand{Episode: 1, Kind: kinds[c.r.IntN(len(kinds))]}).left
		}
	}
	c.vigour += -c.vigour*house.Period/vigourTime + vigourSpread*math.Sqrt(2*house.Period/vigourTime)*c.r.NormFloat64()
	m := math.Exp(c.vigour) * (1 - d.Quiet*(1-c.mood.left)) * (1 - d.Calm*(1-c.calm))
	if d.Feeding {
		m *= 0.8
	}
	if d.Exhaust {
		m *= 1.2
	}
	return m
}

// lengths is the arcs' length: what the electrode leaves and the pool adds.
func (c *Circuit) lengths(d house.Demand, mobility float64) (length [3]float64) {
	for p := range c.arcs {
		a := &c.arcs[p]
		pool := rollSwing*a.roll.level() + a.burst + a.cave + a.creep - levelBias*math.Min(mobility, 1.6)
		length[p] = a.electrode + mobility*pool
		if p == d.Phase && d.Slip > 0 {
			length[p] *= 1 - d.Slip*c.plant.slip
		}
		length[p] = min(max(length[p], 0.25), 2.2)
	}
	return length
}

// balance moves each arc's conductance by its balance of energy and returns the currents.
func (c *Circuit) balance(length [3]float64) [3]float64 {
	var g [3]float64
	for p := range g {
		g[p] = math.Exp(c.arcs[p].logG)
	}
	now := c.flow(g)
	for p := range g {
		// Cassie: d(ln G)/dt = (U²/U₀² − 1)/τ, U₀ the voltage that just feeds the losses.
		u, needed := now[p]/g[p], c.plant.voltage*length[p]
		rate := min(u*u/(needed*needed)-1, 3)
		c.arcs[p].logG = min(max(c.arcs[p].logG+rate*step/c.plant.inertia, -3), 3)
	}
	if c.outage.left > 0 {
		for p := range g {
			if c.outage.phase < 0 || c.outage.phase == p {
				g[p] = resting
			}
		}
		now = c.flow(g)
	}
	return now
}

// flow solves the network: Millman's voltage of the bath, then Ohm's law a phase.
func (c *Circuit) flow(g [3]float64) (now [3]float64) {
	var y, e [3]complex128
	var driven complex128
	total := c.plant.earthing
	for p := range g {
		z := c.arcs[p].lead + complex(1/g[p], 0)
		y[p] = reciprocal(z)
		e[p] = phasors[p] * complex(c.grid.voltage(p), 0)
		driven += e[p] * y[p]
		total += y[p]
	}
	bath := driven * reciprocal(total)
	for p := range now {
		i := (e[p] - bath) * y[p]
		now[p] = math.Sqrt(real(i)*real(i) + imag(i)*imag(i))
	}
	return now
}

// reciprocal is 1/z without the care for infinities that makes the language's own slow.
func reciprocal(z complex128) complex128 {
	n := 1 / (real(z)*real(z) + imag(z)*imag(z))
	return complex(real(z)*n, -imag(z)*n)
}

// extinguish puts a lost arc and its return over what the network gives.
func (c *Circuit) extinguish(d house.Demand, p int, i float64) float64 {
	switch {
	case d.Lost < 0 || d.Lost >= lostTime+2*house.Period:
		return i
	case d.Lost >= lostTime:
		// The electrodes stand too low after the pause: all strike together.
		return overshoot + 0.018*c.r.NormFloat64()
	case p == d.Phase:
		return (100 + 200*c.r.Float64()) / c.setPoint
	}
	return sagged * i
}

// regulate lets the motors, or the crew's hands, move the electrodes.
func (c *Circuit) regulate(d house.Demand, now [3]float64) {
	c.nudge -= step
	hand := d.Manual && c.nudge <= 0
	if hand {
		c.nudge = 8 + 25*c.r.Float64()
	}
	for p := range c.arcs {
		a := &c.arcs[p]
		seen := c.grid.voltage(p) / max(now[p], 0.05)
		a.seen += (min(seen, seenMost*a.set) - a.seen) * step / c.plant.filter
		err := a.seen/a.set - 1 // positive: too long an arc
		held := d.Lost >= 0 || c.outage.left > 0 || d.Slip > 0 && d.Phase == p || d.Power < 0.5
		switch {
		case held:
			a.moving = 0
		case d.Manual:
			a.moving = 0
			if hand && math.Abs(err) > 0.1 {
				a.electrode -= math.Copysign(0.03, err)
			}
		case math.Abs(err) > c.plant.band:
			a.moving = -math.Copysign(1, err)
		case a.moving*err > 0 || math.Abs(err) < 0.3*c.plant.band:
			a.moving = 0
		}
		a.electrode += a.moving * c.plant.speed * min(1, math.Abs(err)/0.25) * step
		a.electrode = min(max(a.electrode, 0.6), 1.5)
	}
	c.grid.next(c.r, d, now)
}
