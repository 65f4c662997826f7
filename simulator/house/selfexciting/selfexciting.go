// Package selfexciting is a family of currents: the arcs of a fused-magnesium furnace as a
// self-exciting point process in a three-phase circuit.
//
// What moves the current comes as single events in the charge: gas bubbles, collapses of
// the crust, lengthened arcs. One event loosens the charge around it and so brings others
// on, at its own electrode and at the neighbours. That is a Hawkes process (A. G. Hawkes,
// Spectra of some self-exciting and mutually exciting point processes, Biometrika 58,
// 1971). Each event adds an impulse to the arc's voltage, as in shot noise (S. O. Rice,
// Mathematical analysis of random noise, Bell System Technical Journal 23, 1944). Between
// the events the pool sways: an Ornstein–Uhlenbeck process (Physical Review 36, 1930).
//
// The arcs are conductances that follow their voltage with a lag (A. M. Cassie, CIGRE
// report 102, 1939, in first order). They share a star point without neutral, so that each
// arc moves the current of all three. A slow controller with a dead band moves the
// electrodes, and a meter averages and rounds.
//
// In an abnormal episode the arcs burn submerged in a viscous pool: events become rarer
// and weaker, and the pool sways less. In a calm spell of a normal furnace the charge lies
// still: events become rare, but keep their size.
//
// Voltages are shares of the supply's phase voltage and currents shares of the set-point,
// unless a unit says otherwise.
package selfexciting

import (
	"math/rand/v2"

	"meltwatch/simulator/house"
)

const (
	steps = 5                    // of the arcs, between two values of the meter
	step  = house.Period / steps // seconds
)

// furnace is the current of one melt.
type furnace struct {
	random   *rand.Rand
	setPoint float64 // amperes
	melt     melt
	events   events
	pool     pool
	star     star
	episode  episode
	loss     loss
	control  controller
	meter    meter
}

// New returns the current of the melt that the setting names.
func New(s house.Setting) house.Circuit {
	random := rand.New(rand.NewPCG(s.Seed, 0x5e1fe7c171))
	m := typical.vary(random)
	f := &furnace{random: random, setPoint: s.SetPoint, melt: m}
	f.events = newEvents(m, random)
	f.pool = newPool(m, random)
	f.star = newStar(m)
	f.loss = loss{last: -1}
	f.meter = newMeter(m)
	f.settle()
	return f
}

// settle lets the arcs work for some minutes, so that the first value is one of many.
func (f *furnace) settle() {
	for range 400 {
		f.Next(house.Demand{Power: 1, Lost: -1})
	}
}

// Next returns the three currents in amperes.
func (f *furnace) Next(d house.Demand) [3]float64 {
	f.episode.follow(d, f.random)
	w := f.melt.work(d, f.episode)
	out := f.loss.follow(d, f.episode, f.random)
	for range steps {
		f.events.advance(f.melt, w, f.random)
		f.pool.advance(f.random)
		var voltage [3]float64
		for p := range voltage {
			voltage[p] = arcVoltage + f.control.position[p] + f.events.voltage(p) + f.pool.voltage(p, f.melt, w)
		}
		voltage[d.Phase] -= slipVoltage * d.Slip
		f.loss.restrike(&voltage)
		current := f.star.advance(voltage, out, f.random, f.setPoint)
		for p := range current {
			current[p] *= d.Power
		}
		f.meter.add(current)
	}
	if !d.Manual && d.Power > 0 {
		f.control.act(f.melt, f.meter.mean(), d.Power)
	}
	return f.meter.read(f.setPoint, f.random)
}
