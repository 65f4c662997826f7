// Package relaxation is a current whose fluctuation is a sum of relaxation processes of
// the bath.
//
// The slag under each electrode conducts more the hotter it is, and its temperature
// relaxes on many time scales at once: the film at the arc's foot within a part of a
// second, the pool within seconds, the crucible within minutes. A sum of such processes
// with log-spaced times has a spectrum near 1/f over their range (A. van der Ziel,
// Physica 16, 1950, 359–372). Foam shortens the arc and relaxes too: it scales the whole
// sum, so that restless and quieter minutes alternate. A gas pocket that bursts below an
// electrode opens the arc's gap for a moment. The hydraulics move an electrode only when
// its current leaves a dead band, and a true-RMS meter with an averaging time, a refresh
// rate and a resolution of its own reports the result.
//
// The amplitudes are fitted to a real half-hour of normal work, whose statistics package
// housetest holds.
package relaxation

import (
	"math"
	"math/rand/v2"

	"meltwatch/simulator/house"
)

const (
	phases = 3
	// substeps divide a Period: the meter averages faster than it is asked.
	substeps = 5
	step     = house.Period / substeps
)

type circuit struct {
	random   *rand.Rand
	setPoint float64

	bath  bath
	foam  foam
	burst [phases]burst
	drive [phases]hydraulics
	meter [phases]meter

	// stiffness is the share of the circuit's impedance that the bath doesn't change: the
	// transformer and the leads. It limits a rise more than a fall.
	stiffness float64
	// base holds the phases' lasting differences, as shares of the set-point.
	base [phases]float64

	stir    stir
	dropOut dropOut
	lost    loss
}

// New makes the current of one melt.
func New(s house.Setting) house.Circuit {
	r := rand.New(rand.NewPCG(s.Seed, 0x72656c6178))
	c := &circuit{random: r, setPoint: s.SetPoint, stiffness: 0.25 + 0.3*r.Float64()}
	c.bath = newBath(r)
	c.foam = newFoam(r)
	c.stir = newStir(r)
	m := newMeter(r)
	h := newHydraulics(r)
	for p := range c.base {
		c.base[p] = 0.012 * r.NormFloat64()
		c.meter[p] = m.ofPhase(r)
		c.drive[p] = h
	}
	return c
}

// Next implements house.Circuit.
func (c *circuit) Next(d house.Demand) [phases]float64 {
	amplitude := c.stir.amplitude(c.random, d)
	for i := range substeps {
		c.foam.advance(c.random)
		c.bath.advance(c.random)
		for p := range phases {
			now := d.Power * c.setPoint * c.ratio(p, amplitude, d)
			c.meter[p].add(d.Time+float64(i)*step, now)
			c.drive[p].advance(c.random, now/c.setPoint-1, d)
		}
	}
	var out [phases]float64
	for p := range out {
		out[p] = c.meter[p].read(c.random)
	}
	c.lost.apply(c.random, d, c.setPoint, &out)
	c.dropOut.apply(c.random, d, &out)
	for p := range out {
		out[p] = c.meter[p].round(min(max(out[p], 0), house.FullScale))
	}
	return out
}

// ratio is the current of a phase as a share of the set-point.
func (c *circuit) ratio(p int, a amplitude, d house.Demand) float64 {
	fluctuation := c.foam.scale(p, a.foam) * c.bath.sum(p, a)
	gap := c.burst[p].advance(c.random, a.bursts*c.foam.scale(p, 1))
	conductance := fluctuation - gap - c.drive[p].height + a.level
	current := (1 + c.stiffness) / (math.Exp(-conductance) + c.stiffness)
	if p == d.Phase {
		current += 0.27 * d.Slip
	}
	return current + c.base[p]
}
