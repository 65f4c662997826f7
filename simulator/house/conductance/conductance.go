// Package conductance is a house whose currents come from the energy balance of three
// arcs: a column's conductance grows with the heat that the current puts in and falls with
// the heat that it loses.
//
// Two balances describe one column. Cassie's holds at high current, where the gradient is
// constant and the cross-section follows the current:
//
//	dg/dt = g/θ · (u²/U² − 1)
//
// Mayr's holds about the current's zero, where the section is constant and the column
// loses a constant power P:
//
//	dg/dt = g/τ · (u·i/P − 1)
//
// Both columns in series give the arc, as Habedank proposed: 1/g = 1/gc + 1/gm. With the
// common current i each balance is linear, the first in gc² and the second in gm, so each
// step has an exact solution and stays stable however coarse it is.
//
// The arcs stand in star with a floating bath behind a transformer's reactance. Bath and
// charge move the arcs' lengths (U) and cooling (U and P), electrodes follow the current
// slowly, and a meter reports the root mean square over a window of its own. A tenth of a
// second is one solved mains cycle: lengths change little within it.
//
// Sources: A. M. Cassie, "Théorie nouvelle des arcs de rupture et de la rigidité des
// circuits", CIGRE report 102, 1939; O. Mayr, "Beiträge zur Theorie des statischen und des
// dynamischen Lichtbogens", Archiv für Elektrotechnik 37, 1943, 588–608; U. Habedank, "On
// the mathematical description of arc behaviour in the vicinity of current zero", etzArchiv
// 10, 1988, 339–343.
//
// Units: volts, amperes, ohms, siemens, seconds. A Circuit is for one goroutine and does
// not allocate after New.
package conductance

import (
	"math"
	"math/rand/v2"

	"meltwatch/simulator/house"
)

// A call covers Period in parts, each of which is one solved cycle of the mains.
const (
	parts = 5
	part  = house.Period / parts
)

// Circuit is the current of one melt.
type Circuit struct {
	setPoint float64
	dice     dice
	seed     uint64
	network  network
	bath     bath
	crew     regulator
	meter    meter
	episode  episode
}

// New makes the circuit of a melt and lets its regulator find the set-point.
func New(s house.Setting) house.Circuit {
	d := dice{rand.New(rand.NewPCG(s.Seed, 0x636f6e647563))}
	c := &Circuit{setPoint: s.SetPoint, seed: s.Seed, dice: d}
	c.network = newNetwork(d, s.SetPoint)
	c.bath = newBath(d, c.network.stiffness())
	c.crew = newRegulator(d)
	c.meter = newMeter(d, s.SetPoint)
	c.network.settle(s.SetPoint)
	return c
}

// Next returns the RMS current of each phase as the meter reports it.
func (c *Circuit) Next(d house.Demand) [3]float64 {
	if d.Episode != c.episode.number {
		c.episode = newEpisode(c.seed, d)
	}
	dropped := c.episode.drop(c.dice, d)
	for range parts {
		rms := [3]float64{}
		if d.Power > 0.01 {
			gap := c.gaps(d)
			rms = c.network.cycle(gap, c.open(d, dropped), min(d.Power, 1))
			if d.Lost < 0 && !dropped.any() {
				c.crew.move(rms, c.setPoint*min(d.Power, 1), d)
			}
		}
		c.meter.read(rms, c.dice)
	}
	return c.meter.report(c.dice)
}

// gap is the state of one arc against its usual one: its voltage at high current and the
// heat that the column loses about zero.
type gap struct{ voltage, loss float64 }

// gaps moves bath and electrodes on by a part and returns the arcs.
func (c *Circuit) gaps(d house.Demand) (g [3]gap) {
	length, cooling := c.bath.move(c.dice, d, c.episode)
	for p := range g {
		l := math.Exp(length[p] + c.crew.lift[p])
		switch {
		case d.Lost >= 0 && d.Lost < 3 && p != d.Phase:
			// The bath freezes away from the others, whose gaps widen.
			l *= c.network.length(0.72)
		case d.Lost >= 3 && d.Lost < 4:
			// The electrodes went down after the lost arc, and strike again in the melt.
			l = c.network.length(1.42)
		case d.Slip > 0 && p == d.Phase:
			l *= c.network.length(1+0.4*d.Slip) / c.network.length(1)
		}
		v := max(l*math.Exp(cooling[p]), 0.05)
		g[p] = gap{v, v * math.Exp(cooling[p])}
	}
	return g
}

// open says which arcs conduct through hot gas only.
func (c *Circuit) open(d house.Demand, dropped lost) lost {
	if d.Lost >= 0 && d.Lost < 3 {
		dropped[d.Phase] = true
	}
	return dropped
}

// dice are the random draws of a melt.
type dice struct{ *rand.Rand }

func (d dice) between(low, high float64) float64 { return low + (high-low)*d.Float64() }

func (d dice) logBetween(low, high float64) float64 {
	return low * math.Pow(high/low, d.Float64())
}

func clip(x, low, high float64) float64 { return max(low, min(high, x)) }
