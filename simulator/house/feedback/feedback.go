// Package feedback is a family of currents from automatic control: a hydraulic regulator
// holds each electrode's current in closed loop, falling charge and the bubbling bath
// disturb it, and the three phases share a floating neutral.
package feedback

import (
	"math"
	"math/rand/v2"

	"meltwatch/simulator/house"
)

// steps is the number of integration steps in one Period.
const steps = 10

// step is one integration step in seconds.
const step = house.Period / steps

// circuit is the current of one melt.
type circuit struct {
	random    *rand.Rand
	set       float64 // set-point, amperes
	star      star
	bath      bath
	regulator [3]regulator
	episode   episode
	meter     meter
	lowered   [3]float64 // current after an extinction, as a share of the set-point
}

// New makes the current of one melt.
func New(s house.Setting) house.Circuit {
	random := rand.New(rand.NewPCG(s.Seed, 0x66656564))
	c := &circuit{random: random, set: s.SetPoint, star: newStar(random), bath: newBath(random), meter: newMeter(random)}
	for p := range c.regulator {
		c.regulator[p] = newRegulator(random)
	}
	// The melt starts in the middle of its work, not at rest.
	for range 120 {
		c.Next(house.Demand{Power: 1, Lost: -1})
	}
	return c
}

// Next integrates one Period and reads the meter.
func (c *circuit) Next(d house.Demand) [3]float64 {
	c.episode.follow(d, c.random)
	activity := c.episode.activity(d)
	var sum [3]float64
	window := 0
	for i := range steps {
		c.bath.advance(c.random, activity, d)
		var resistance [3]float64
		for p := range resistance {
			resistance[p] = c.star.arc(c.regulator[p].height + c.bath.gap(p))
			if c.episode.lost[p] > 0 {
				resistance[p] = brokenArc
			}
		}
		current := c.star.solve(resistance) // shares of the set-point
		for p := range c.regulator {
			// A broken arc blocks the regulators: an electrode that follows a current of
			// nothing would dip into the bath.
			if d.Manual || d.Power < 0.3 || d.Lost >= 0 && d.Lost < extinction || c.episode.anyLost() {
				c.regulator[p].hold()
			} else {
				c.regulator[p].advance(current[p])
			}
		}
		if i >= steps-c.meter.window {
			for p := range sum {
				sum[p] += current[p] * current[p]
			}
			window++
		}
	}
	var out [3]float64
	for p := range out {
		amperes := c.set * d.Power * math.Sqrt(sum[p]/float64(window))
		out[p] = c.meter.read(c.random, c.extinguished(d, p, amperes)+c.slipped(d, p))
	}
	return out
}

// extinction is how long a lost arc stays out, in seconds.
const extinction = 3

// extinguished is the current of a phase while an arc is out and when it strikes again.
func (c *circuit) extinguished(d house.Demand, phase int, amperes float64) float64 {
	switch {
	case d.Lost < 0 || d.Power == 0:
		return amperes
	case d.Lost < extinction && phase == d.Phase:
		return uniform(c.random, 100, 300)
	case d.Lost < extinction:
		return 0.75 * amperes
	case d.Lost < extinction+house.Period:
		// The electrodes have come down onto the charge, so every arc is short.
		c.lowered[phase] = uniform(c.random, 19.0/15, 20.0/15)
		return c.lowered[phase] * c.set * d.Power
	case d.Lost < extinction+2*house.Period && c.lowered[phase] > 1.3:
		return c.lowered[phase] * c.set * d.Power
	}
	return amperes
}

// slipped is the rise of the current of an electrode that has slipped in its holder. The
// mast is at its upper end then, so the regulator does not answer.
func (c *circuit) slipped(d house.Demand, phase int) float64 {
	if phase != d.Phase {
		return 0
	}
	return 0.3 * d.Slip * c.set * d.Power
}

// meter is the current transformers and the converter behind them.
type meter struct {
	window int     // steps over which it takes the RMS value
	noise  float64 // amperes
	digit  float64 // amperes
}

func newMeter(r *rand.Rand) meter {
	return meter{
		window: 3 + r.IntN(steps-2),
		noise:  uniform(r, 8, 30),
		digit:  house.FullScale / math.Pow(2, float64(11+r.IntN(4))),
	}
}

func (m meter) read(r *rand.Rand, amperes float64) float64 {
	noisy := amperes + m.noise*r.NormFloat64()*min(1, 0.2+amperes/5000)
	return min(max(m.digit*math.Round(noisy/m.digit), 0), house.FullScale)
}

func uniform(r *rand.Rand, low, high float64) float64 { return low + (high-low)*r.Float64() }
