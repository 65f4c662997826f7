// Package regimes draws the current as a hidden semi-Markov chain. At any moment an arc
// is in one of five regimes: its bath lies calm, rolls, boils, the arc is shorted by a
// wave of melt or stretched by a hollow. Each regime has its own level, spread,
// persistence and length of stay; what a person calls fluctuation is mostly the jumping
// between them. The bath has a chain of its own, which the phases join or ignore visit by
// visit, so that they move together only partly.
//
// One number, the restlessness, tilts the odds of the next regime exponentially: a mood
// that lasts minutes, feeding and exhaust move it, and an abnormal episode presses it
// down, so that the same chain spends its time in calm. The episode also narrows what is
// left. It does not move the mean: each phase settles where a normal phase might be.
//
// Random are the mood, the order, length and level of visits, who joins the bath, the
// fluctuation within a visit, slow drift of the electrodes, and for each melt the
// liveliness of each phase. Levels and spreads are shares of the set-point, times seconds.
package regimes

import (
	"math"
	"math/rand/v2"

	"meltwatch/simulator/house"
)

type regime int

const (
	calm regime = iota
	rolling
	boiling
	shorted
	stretched
	regimeCount
)

// trait is what makes a regime.
type trait struct {
	level, scatter float64 // mean and standard deviation of a visit's level
	spread         float64 // standard deviation within a visit
	persistence    float64 // lag-1 autocorrelation within a visit
	stay           float64 // mean length of a visit, seconds
	stages         int     // the stay is a sum of as many exponentials: more, more even
	odds           float64 // of coming next, when the mood is even
	tilt           float64 // how the logarithm of the odds follows the restlessness
}

var traits = [regimeCount]trait{
	calm:      {level: 0.016, scatter: 0.050, spread: 0.032, persistence: 0.80, stay: 14, stages: 2, odds: 1.00, tilt: -1},
	rolling:   {level: 0.016, scatter: 0.080, spread: 0.086, persistence: 0.70, stay: 9, stages: 3, odds: 1.15, tilt: 0},
	boiling:   {level: 0.01, scatter: 0.120, spread: 0.150, persistence: 0.55, stay: 6, stages: 2, odds: 0.62, tilt: 1},
	shorted:   {level: 0.25, scatter: 0.060, spread: 0.040, persistence: 0.30, stay: 1.6, stages: 2, odds: 0.22, tilt: 0.7},
	stretched: {level: -0.47, scatter: 0.120, spread: 0.040, persistence: 0.20, stay: 0.7, stages: 1, odds: 0.11, tilt: 0.6},
}

const (
	stream = 0x5e61 // of this family's random numbers

	bathShare    = 0.80  // of the bath's visits, joined by a phase
	levelShare   = 0.85  // correlation of the level of those who joined
	commonShare  = 0.40  // correlation of the fluctuation within visits
	settling     = 0.85  // of the way to a new level, gone in a Period
	moodStay     = 170   // seconds, mean
	moodSpread   = 0.62  // of the restlessness
	driftSpread  = 0.020 // of the electrodes
	driftTime    = 90    // seconds, electrodes following the current
	manualTime   = 500   // seconds, electrodes standing
	feedingTilt  = -0.5
	exhaustTilt  = 0.6
	feedingDamp  = 0.9   // of the fluctuation
	meterNoise   = 0.002 // of the set-point
	meterStep    = house.FullScale / 4096.0
	lossTime     = 3.0   // seconds an arc stays out
	othersInLoss = 0.75  // of their current
	slipRise     = 0.3   // of the set-point
	dropOutEvery = 75.0  // seconds, mean
	heldSpread   = 0.030 // of a phase in a quiet spell
	offAmperes   = 25.0  // at most, the sensor alone
	phases       = 3
)

// visit is a stay in a regime, left seconds more, around level.
type visit struct {
	regime regime
	level  float64
	left   float64
}

// hush is how one quiet spell is quiet.
type hush struct {
	press float64         // on the restlessness
	depth float64         // of the fluctuation that is left
	held  [phases]float64 // where the phases settle
}

type circuit struct {
	r        *rand.Rand
	setPoint float64
	bath     visit
	phase    [phases]visit
	level    [phases]float64 // as the phase follows its visits
	jitter   [phases]float64
	drift    [phases]float64
	lively   [phases]float64 // the melt's factor on all fluctuation of a phase
	offset   [phases]float64
	mood     float64
	moodLeft float64

	episode     int
	abnormal    hush
	spell       hush
	inSpell     bool
	outLeft     float64 // seconds of a drop-out to come
	outPhase    int     // phases: all
	overshoot   float64 // seconds
	temperament float64 // the melt's mean restlessness
}

// New starts the current of a melt.
func New(s house.Setting) house.Circuit {
	c := &circuit{r: rand.New(rand.NewPCG(s.Seed, stream)), setPoint: s.SetPoint}
	c.temperament = 0.15 * c.r.NormFloat64()
	melt := math.Exp(0.09 * c.r.NormFloat64())
	for p := range c.phase {
		c.lively[p] = melt * math.Exp(0.08*c.r.NormFloat64())
		c.offset[p] = 0.01 * c.r.NormFloat64()
	}
	return c
}

// Next implements house.Circuit.
func (c *circuit) Next(d house.Demand) [3]float64 {
	restless, damp := c.advance(d)
	c.jump(restless)
	var now [phases]float64
	together := c.r.NormFloat64()
	for p := range now {
		x := 1 + c.offset[p] + c.move(p, d, together, damp)
		x += d.Quiet*c.abnormal.held[p] + d.Calm*c.spell.held[p]
		if d.Slip > 0 && p == d.Phase {
			x += slipRise * d.Slip
		}
		now[p] = x * d.Power * c.setPoint
	}
	c.breakArcs(d, &now)
	for p := range now {
		noise := meterNoise * c.setPoint * c.r.NormFloat64()
		if d.Power < 0.02 {
			now[p], noise = offAmperes*c.r.Float64(), 0
		}
		steps := math.Round((now[p] + noise) / meterStep)
		now[p] = min(max(steps*meterStep, 0), house.FullScale)
	}
	return now
}

// advance moves what changes slowly and returns the restlessness and the share of the
// fluctuation that is left.
func (c *circuit) advance(d house.Demand) (restless, damp float64) {
	if c.moodLeft -= house.Period; c.moodLeft <= 0 {
		c.mood, c.moodLeft = moodSpread*c.r.NormFloat64(), moodStay*c.r.ExpFloat64()
	}
	if d.Episode != c.episode {
		c.episode, c.outLeft = d.Episode, 0
		c.abnormal = c.draw(d.Kind)
	}
	if in := d.Calm > 0; in != c.inSpell {
		c.inSpell = in
		c.spell = c.draw([]house.Kind{house.Flat, house.Reduced}[c.r.IntN(2)])
	}
	restless = c.temperament + c.mood - d.Quiet*c.abnormal.press - d.Calm*c.spell.press
	damp = (1 - d.Quiet*(1-c.abnormal.depth)) * (1 - d.Calm*(1-c.spell.depth))
	damp *= 1 + 0.5*(1-d.Power) // cold charge at the start
	if d.Feeding {
		restless, damp = restless+feedingTilt, damp*feedingDamp
	}
	if d.Exhaust {
		restless += exhaustTilt
	}
	return restless, damp
}

// draw chooses how a quiet spell of a kind is quiet.
func (c *circuit) draw(k house.Kind) hush {
	h := hush{press: 0.6 + 0.9*c.r.Float64(), depth: 0.55 + 0.35*c.r.Float64()}
	if k == house.Flat {
		h = hush{press: 4 + 2*c.r.Float64(), depth: 0.18 + 0.27*c.r.Float64()}
	}
	for p := range h.held {
		h.held[p] = heldSpread * (1 - h.depth) * c.r.NormFloat64()
	}
	return h
}

// jump ends the visits whose time is over.
func (c *circuit) jump(restless float64) {
	if c.bath.left -= house.Period; c.bath.left <= 0 {
		c.bath = c.next(c.bath.regime, restless)
		for p := range c.phase {
			if c.r.Float64() < bathShare {
				own := c.next(c.phase[p].regime, restless)
				common := traits[c.bath.regime]
				apart := common.scatter * math.Sqrt(1-levelShare*levelShare) * c.r.NormFloat64()
				c.phase[p] = visit{
					regime: c.bath.regime,
					level:  common.level + levelShare*(c.bath.level-common.level) + apart,
					left:   min(c.bath.left, c.bath.left/2+own.left), // some leave early
				}
			}
		}
	}
	for p := range c.phase {
		if c.phase[p].left -= house.Period; c.phase[p].left <= 0 {
			c.phase[p] = c.next(c.phase[p].regime, restless)
		}
	}
}

// next draws the visit after one in regime last.
func (c *circuit) next(last regime, restless float64) visit {
	var odds [regimeCount]float64
	sum := 0.0
	for i, t := range traits {
		// A body of melt may go on as it was, at another level; a burst is over.
		if r := regime(i); r == last && r >= shorted {
			continue
		}
		odds[i] = t.odds * math.Exp(t.tilt*restless)
		sum += odds[i]
	}
	pick, r := sum*c.r.Float64(), regime(0)
	for ; r < regimeCount-1 && pick >= odds[r]; r++ {
		pick -= odds[r]
	}
	t := traits[r]
	v := visit{regime: r, level: t.level + t.scatter*c.r.NormFloat64()}
	for range t.stages {
		v.left += t.stay / float64(t.stages) * c.r.ExpFloat64()
	}
	return v
}

// move is the deviation of a phase from its set-point, before what the crew does to it.
func (c *circuit) move(p int, d house.Demand, together, damp float64) float64 {
	t := traits[c.phase[p].regime]
	c.level[p] += settling * (c.phase[p].level - c.level[p])
	n := math.Sqrt(commonShare)*together + math.Sqrt(1-commonShare)*c.r.NormFloat64()
	c.jitter[p] = t.persistence*c.jitter[p] + t.spread*math.Sqrt(1-t.persistence*t.persistence)*n
	slow := float64(driftTime)
	if d.Manual {
		slow = manualTime
	}
	// The kick stays the same, so that standing electrodes let the current drift further.
	kick := driftSpread * math.Sqrt(2*house.Period/driftTime)
	c.drift[p] += -c.drift[p]*house.Period/slow + kick*math.Sqrt(damp)*c.r.NormFloat64()
	even := traits[calm].level // what is left of a narrowed fluctuation lies about here
	return even + c.lively[p]*damp*(c.level[p]-even+c.jitter[p]) + c.drift[p]*(0.2+0.8*damp)
}

// breakArcs puts out the arcs that are lost or drop out.
func (c *circuit) breakArcs(d house.Demand, now *[phases]float64) {
	if c.outLeft -= house.Period; c.outLeft <= 0 && d.Kind == house.DropOuts && d.Episode > 0 &&
		c.r.Float64() < d.Quiet*house.Period/dropOutEvery {
		c.outLeft, c.outPhase = 1+4*c.r.Float64(), min(c.r.IntN(phases+2), phases)
	}
	for p := range now {
		if c.outLeft > 0 && (p == c.outPhase || c.outPhase == phases) {
			now[p] = 0.01 * c.r.Float64() * now[p]
		}
	}
	switch {
	case d.Lost < 0:
	case d.Lost < lossTime:
		c.overshoot = lossTime + house.Period*float64(1+c.r.IntN(2))
		for p := range now {
			now[p] *= othersInLoss
			if p == d.Phase {
				now[p] = (100 + 200*c.r.Float64()) * d.Power
			}
		}
	case d.Lost < c.overshoot:
		for p := range now {
			now[p] = (19000 + 1000*c.r.Float64()) / 15000 * c.setPoint * d.Power
		}
	}
}
