package arclength

import (
	"math"

	"meltwatch/simulator/house"
)

// bubbling returns the share of the usual bubbling that the pool allows.
func (c *circuit) bubbling(d house.Demand) float64 {
	if d.Episode != c.episode {
		c.episode = d.Episode
		c.residue = between(c.rng, 0.4, 0.66)
		if d.Kind == house.Flat {
			c.residue = between(c.rng, 0.07, 0.15)
		}
	}
	gas := 1 - d.Calm*(1-calmResidue)
	if d.Episode > 0 {
		gas = min(gas, 1-d.Quiet*(1-c.residue))
	}
	if d.Feeding {
		gas *= 0.85
	}
	if d.Exhaust {
		gas *= 1.2
	}
	c.storm += -c.storm*house.Period/stormLife + storminess*math.Sqrt(2*house.Period/stormLife)*c.rng.NormFloat64()
	return gas * math.Exp(c.storm-storminess*storminess/2)
}

// lengths moves the pool below each electrode on by a step.
func (c *circuit) lengths(d house.Demand, gas float64) (mm [3]float64) {
	// A viscous pool runs slower; fewer and flatter bubbles then make the arc's deviation
	// proportional to gas.
	pace := 0.4 + 0.6*min(gas, 1)
	size := math.Pow(gas, 0.65)
	births := c.rate * math.Pow(gas, 0.7) * pace
	for p := range c.arcs {
		a := &c.arcs[p]
		if c.rng.Float64() < births*step && a.count < room {
			h := min(height*math.Exp(spread*c.rng.NormFloat64()), tallest) * size * a.lively
			a.bubbles[a.count] = bubble{rise: between(c.rng, 0.6, 1.9), height: h}
			if c.rng.Float64() < jetShare*min(gas, 1) {
				a.bubbles[a.count].jet = between(c.rng, jetLeast, jetMost) * size * c.rest
			}
			a.count++
			a.foam += foamPart * h
		}
		// What foam the births bring on average drains steadily.
		a.foam -= foamPart*meanHeight*size*a.lively*births*step + a.foam*step/foamLife
		a.root += -0.4*a.root + 0.8*rootWalk*c.rng.NormFloat64()*math.Sqrt(min(gas, 1))
		length := a.tip - a.foam - a.surface(pace*step, c.close) + a.blown + a.root
		if d.Slip > 0 && p == d.Phase {
			length -= 1.4 * d.Slip * (c.rest - c.touch)
		}
		if d.Lost >= lostSeconds && d.Lost < lostSeconds+c.strikes {
			length = c.touch // the drive has dipped all three to strike the arc
			a.conductance = 1.3 * c.setPoint / (dropVolts + columnVolts*length)
		}
		mm[p] = min(max(length, 0), longest*c.rest)
	}
	return mm
}

// surface ages the bubbles and returns the height of dome and crater together.
func (a *arc) surface(seconds, closing float64) float64 {
	a.blown -= a.blown * step / jetLife
	a.crater -= a.crater * seconds / closing
	dome := 0.0
	for i := 0; i < a.count; {
		b := &a.bubbles[i]
		b.age += seconds
		if b.age < b.rise {
			share := b.age / b.rise
			dome += b.height * share * share
			i++
			continue
		}
		a.blown += b.jet
		// The crater takes back the volume that the dome had lifted: ∫ dome = rise/3.
		a.crater += b.height * b.rise / 3 / closing
		a.count--
		*b = a.bubbles[a.count]
	}
	return dome - a.crater
}
