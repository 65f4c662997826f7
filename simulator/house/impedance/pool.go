package impedance

import (
	"math"
	"math/rand/v2"

	"meltwatch/simulator/house"
)

// How the pool disturbs the arcs, in arc lengths and seconds.
const (
	rollSwing    = 0.064    // a roll's swing
	burstRate    = 0.9      // bursts a second and phase
	burstSize    = 0.12     // mean lengthening
	burstTime    = 0.26     // seconds
	burstSpread  = 0.8      // of the logarithm of a burst's size
	caveRate     = 1.0 / 82 // falls a second and phase
	caveTime     = 0.7      // seconds
	creepSwing   = 0.07
	creepTime    = 20.0 // seconds
	vigourSpread = 0.22 // of the logarithm of the mobility
	vigourTime   = 80.0 // seconds
)

// roll is a convection roll after Lorenz: how fast it turns, the difference of temperature
// across it and the bend of the vertical profile. It turns steadily for a while and then
// falls over into the other sense, as a heated liquid does.
type roll struct{ turn, across, bend, pace float64 }

const (
	prandtl   = 10.0
	rayleigh  = 28.0 // relative to where convection starts
	aspect    = 8.0 / 3
	bendMean  = 23.6
	bendSwing = 8.6
)

func newRoll(r *rand.Rand) roll {
	x := roll{turn: 8 * r.NormFloat64(), across: 8 * r.NormFloat64(), bend: 15 + 15*r.Float64(), pace: 0.07 + 0.09*r.Float64()}
	for range 200 {
		x.next(0.01 / x.pace)
	}
	return x
}

// next turns the roll for some seconds.
func (x *roll) next(seconds float64) {
	dt := seconds * x.pace
	turn, across, bend := x.turn, x.across, x.bend
	x.turn += dt * prandtl * (across - turn)
	x.across += dt * (turn*(rayleigh-bend) - across)
	x.bend += dt * (turn*across - aspect*bend)
	// A clumsy step must not leave the roll's orbit.
	x.bend = min(max(x.bend, 0), 55)
	x.turn, x.across = min(max(x.turn, -28), 28), min(max(x.across, -34), 34)
}

// level is the roll's effect on the pool's surface, mean 0 and spread about 1.
func (x *roll) level() float64 { return (x.bend - bendMean) / bendSwing }

// disturb moves the pool and the charge for one step.
func (c *Circuit) disturb(d house.Demand, mobility float64) {
	gas, falling := burstRate*step, caveRate*step*min(mobility, 2)
	if d.Feeding {
		gas, falling = 0.7*gas, 1.5*falling
	}
	if d.Exhaust {
		gas *= 1.6
	}
	for p := range c.arcs {
		a := &c.arcs[p]
		a.roll.next(step)
		a.burst -= a.burst * step / burstTime
		a.cave -= a.cave * step / caveTime
		a.creep += -a.creep*step/creepTime + creepSwing*math.Sqrt(2*step/creepTime)*c.r.NormFloat64()
		if c.r.Float64() < gas {
			a.burst += burstSize * c.r.ExpFloat64() * math.Exp(burstSpread*c.r.NormFloat64())
		}
		if c.r.Float64() < falling {
			c.fall(p)
		}
	}
}

// fall drops charge beneath an arc: a hole that lengthens it or a heap that shortens it;
// now and then the neighbour gets its part.
func (c *Circuit) fall(p int) {
	size := 0.45 + 0.5*c.r.Float64()
	if c.r.Float64() < 0.3 {
		size *= -0.5
	}
	c.arcs[p].cave += size
	if c.r.Float64() < 0.25 {
		c.arcs[(p+1+c.r.IntN(2))%3].cave += size * c.r.Float64()
	}
}
