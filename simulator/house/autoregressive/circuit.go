// Package autoregressive is a current without furnace physics: what a statistician who
// only had the meter's record would write. The three phases are a vector autoregression
// of order three in their relative deviation from the set-point; its innovations are
// heavy-tailed, share a part among the phases, and their variance wanders on three time
// constants (stochastic volatility), falling shocks raising it more than rising ones.
// Rare dips and a slow wander of each phase's level are added.
//
// Quiet is a change of that process and of nothing else: the innovations' scale falls,
// the clock of the slow wander slows with it (the levels are held), and the memory (the
// poles' time constants) becomes shorter or longer, whichever the episode draws.
//
// Randomness: each melt draws poles, coupling, scales, volatility and offsets; each
// episode its quietness and memory; each sample the innovations, dips and drop-outs.
// Units: amperes at the meter, shares of the set-point within; one step is house.Period.
package autoregressive

import (
	"math"
	"math/rand/v2"

	"meltwatch/simulator/house"
)

const (
	stream = 0x6172_6d65 // the random stream of this family

	common       = 0.43   // share of the innovations' variance that all phases have
	freedom      = 6      // degrees of freedom of the innovations' Student distribution
	fluctuation  = 0.1065 // standard deviation of normal work, share of the set-point
	wander       = 0.030  // standard deviation of a phase's slow wander, same share
	wanderTime   = 110.0  // its time constant, seconds
	leverage     = 0.05   // how much a fall raises the fast volatility, per unit of shock
	dipRate      = 0.0036 // dips a second and phase in normal work
	meterNoise   = 0.0012 // share of full scale
	offCurrent   = 15.0   // what the meter's zero wanders while off, amperes
	lostTime     = 3.0    // seconds an arc stays out
	overshoot    = 1.0    // seconds of overshoot after it
	referenceSet = 15000.0
)

// Volatility's three components: time constant in seconds, standard deviation of the
// logarithm. The first belongs to each phase, the others to the bath.
var volatility = [3]struct{ time, spread float64 }{{3, 0.36}, {28, 0.20}, {260, 0.19}}

type circuit struct {
	rng      *rand.Rand
	setPoint float64
	process  process
	past     [phases][order]float64 // newest first, shares of the set-point
	fast     [phases]float64        // log volatility of each phase
	bath     [2]float64             // log volatility of all
	level    [phases]float64        // slow wander, standard normal
	offset   [phases]float64        // what a phase keeps all melt, share
	scale    [phases]float64        // innovations' scale of each phase, 1 = usual
	liveness float64                // how fast this melt's volatility moves, 1 = usual
	dip      [phases]dip
	episode  mood // of the abnormal episode
	calm     mood // of the present calm spell
	number   int  // of that episode
	out      outage
}

// mood is how a quiet stretch differs from normal work.
type mood struct {
	scale  float64 // of the innovations
	memory float64 // of the poles' time constants
}

// dip is a short fall of one phase.
type dip struct {
	left  int     // samples still to come, the deepest being the last but one
	depth float64 // share of the set-point
}

// outage is a rectangular loss in an episode of drop-outs.
type outage struct {
	left  int // samples
	phase int // −1: all
	floor float64
}

// New draws the statistics of one melt.
func New(s house.Setting) house.Circuit {
	rng := rand.New(rand.NewPCG(s.Seed, stream))
	c := &circuit{rng: rng, setPoint: s.SetPoint, process: draw(rng), calm: mood{1, 1}}
	strength := math.Exp(0.09 * rng.NormFloat64())
	c.liveness = between(rng, 0.6, 1.7)
	for p := range phases {
		c.scale[p] = strength * between(rng, 0.85, 1.15)
		c.offset[p] = 0.012 * rng.NormFloat64()
		c.level[p] = rng.NormFloat64()
		c.fast[p] = volatility[0].spread * rng.NormFloat64()
	}
	for k := range c.bath {
		c.bath[k] = volatility[k+1].spread * rng.NormFloat64()
	}
	for range 60 { // forget the start from zero
		c.step(1, 1)
	}
	return c
}

func (c *circuit) Next(d house.Demand) [3]float64 {
	scale, memory := c.mood(d)
	c.step(scale, memory)
	c.drops(d)
	var amps [phases]float64
	for p := range phases {
		share := 1 + c.offset[p] + wander*c.level[p] + c.past[p][0] - c.dips(p, scale)
		if d.Slip > 0 && p == d.Phase {
			share += 0.3 * d.Slip
		}
		if c.out.left > 0 && (c.out.phase == p || c.out.phase < 0) {
			share = c.out.floor
		}
		amps[p] = c.setPoint * max(share, 0.01) * d.Power
		if d.Lost >= 0 {
			amps[p] = c.lost(d, p, amps[p])
		}
		noise := offCurrent
		if d.Power > 0 {
			noise = meterNoise * house.FullScale * min(1, d.Power+0.2)
		}
		amps[p] = min(max(amps[p]+noise*c.rng.NormFloat64(), 0), house.FullScale)
	}
	c.out.left--
	return amps
}

// mood is the scale of the innovations and of the memory that the demand asks for. Both
// go along their logarithms, so half way to a tenth is a third.
func (c *circuit) mood(d house.Demand) (scale, memory float64) {
	if d.Episode > 0 && d.Episode != c.number {
		c.number, c.episode = d.Episode, c.draw(0.34, 0.66)
		if d.Kind == house.Flat {
			c.episode = c.draw(0.07, 0.16)
		}
	}
	if d.Calm == 0 {
		c.calm.scale = 1
	} else if c.calm.scale == 1 {
		c.calm = c.draw(0.1, 0.5)
	}
	quiet, episode := d.Quiet, c.episode
	if d.Episode == 0 || quiet <= 0 {
		quiet, episode = 0, mood{1, 1}
	}
	// An episode in a calm spell is as quiet as the quieter of both, not their product.
	scale = min(math.Pow(episode.scale, quiet), math.Pow(c.calm.scale, d.Calm))
	memory = math.Pow(episode.memory, quiet) * math.Pow(c.calm.memory, d.Calm)
	if d.Feeding {
		scale *= 0.88
		memory *= 1.15
	}
	if d.Exhaust {
		scale *= 1.18
		memory *= 0.85
	}
	if d.Manual { // nobody pulls the current back
		memory *= 1.3
	}
	if d.Power > 0 && d.Power < 1 { // arcs on cold charge
		scale *= 1 + 0.7*(1-d.Power)
	}
	return scale, memory
}

// draw is a mood of a scale within bounds. The memory is as often shorter as longer:
// alone it is not a sign.
func (c *circuit) draw(low, high float64) mood {
	return mood{math.Exp(between(c.rng, math.Log(low), math.Log(high))), math.Exp2(between(c.rng, -1, 1))}
}

// step moves the process by one period.
func (c *circuit) step(scale, memory float64) {
	a := c.process.at(memory)
	variance := 0.0
	for k := range c.bath {
		v := volatility[k+1]
		c.bath[k] = revert(c.rng, c.bath[k], v.time/c.liveness, v.spread)
		variance += v.spread * v.spread
	}
	variance += volatility[0].spread * volatility[0].spread
	shared := student(c.rng)
	var next [phases]float64
	for p := range phases {
		shock := math.Sqrt(common)*shared + math.Sqrt(1-common)*student(c.rng)
		c.fast[p] = revert(c.rng, c.fast[p], volatility[0].time/c.liveness, volatility[0].spread)
		sigma := math.Exp(c.fast[p] + c.bath[0] + c.bath[1] - variance)
		if shock < 0 {
			c.fast[p] -= leverage * shock
		}
		x := scale * fluctuation * c.scale[p] * sigma * a.norm[p] * shock
		for k := range order {
			x += a.own[p][k] * c.past[p][k]
		}
		for q := range phases {
			if q != p {
				x += a.coupling * c.past[q][0]
			}
		}
		next[p] = min(max(x, -1), 1)
		c.level[p] = revert(c.rng, c.level[p], wanderTime/(scale*scale), 1)
	}
	for p := range phases {
		c.past[p] = [order]float64{next[p], c.past[p][0], c.past[p][1]}
	}
}

// dips is how far phase p is down by a dip, as a share. They mostly last a sample and
// come in over another; a quiet bath seldom has one.
func (c *circuit) dips(p int, scale float64) float64 {
	d := &c.dip[p]
	if d.left == 0 {
		if c.rng.Float64() >= dipRate*house.Period*scale*scale {
			return 0
		}
		d.left, d.depth = 2, between(c.rng, 0.35, 0.62)
		if c.rng.Float64() < 0.15 {
			d.left = 3
		}
	}
	d.left--
	if d.left == 1 {
		return d.depth / 2
	}
	return d.depth
}

// drops starts the rectangular losses of an episode of drop-outs, one or two a minute.
func (c *circuit) drops(d house.Demand) {
	if c.out.left > 0 || d.Episode == 0 || d.Kind != house.DropOuts || c.rng.Float64() >= 0.013*d.Quiet {
		return
	}
	c.out = outage{left: 2 + c.rng.IntN(9), phase: c.rng.IntN(phases+2) - 2, floor: between(c.rng, 0, 0.05)}
	c.out.phase = max(c.out.phase, -1)
}

// lost is phase p's current after the arc of d.Phase went out.
func (c *circuit) lost(d house.Demand, p int, amps float64) float64 {
	switch {
	case d.Lost < lostTime && p == d.Phase:
		return between(c.rng, 100, 300) * d.Power
	case d.Lost < lostTime:
		return 0.75 * amps
	case d.Lost < lostTime+overshoot:
		return between(c.rng, 19000, 20000) / referenceSet * c.setPoint * d.Power
	}
	return amps
}
