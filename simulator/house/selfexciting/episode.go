package selfexciting

import (
	"math/rand/v2"

	"meltwatch/simulator/house"
)

// work is what the furnace's state makes of the charge and the pool: factors against
// usual work.
type work struct{ rate, size, sway, drift float64 }

// episode is one abnormal episode: what it leaves once it is fully quiet.
type episode struct {
	number   int
	left     work
	dropOuts float64 // a second
	quiet    float64
}

// follow takes the demand and draws a new episode when one begins.
func (e *episode) follow(d house.Demand, random *rand.Rand) {
	if d.Episode == 0 {
		e.quiet = 0
		return
	}
	e.quiet = d.Quiet
	if d.Episode == e.number {
		return
	}
	between := func(low, high float64) float64 { return low + (high-low)*random.Float64() }
	e.number, e.dropOuts = d.Episode, 0
	switch d.Kind {
	case house.Flat:
		// The arcs burn under the melt: hardly an event reaches them.
		e.left = work{between(0.3, 0.7), between(0.2, 0.35), between(0.2, 0.35), between(0.2, 0.5)}
	default:
		// A part of the gas still finds its way.
		e.left = work{between(0.6, 0.95), between(0.55, 0.85), between(0.5, 0.8), between(0.5, 0.9)}
	}
	if d.Kind == house.DropOuts {
		e.dropOuts = between(0.8, 2.2) / 60
	}
}

// work returns the factors of this moment.
func (m melt) work(d house.Demand, e episode) work {
	w := work{1, 1, 1, 1}
	if d.Feeding {
		w.rate *= m.feedRate
		w.sway *= m.feedSway
	}
	if d.Exhaust {
		w.rate *= m.exhaustRate
		w.sway *= m.exhaustSway
	}
	// The charge lies still: its events come seldom, but as large as ever.
	w.rate *= 1 - d.Calm*(1-m.calmRate)
	w.sway *= 1 - d.Calm*(1-m.calmSway)
	// The pool is viscous and covers the arcs: all of it fades.
	w.rate *= 1 - e.quiet*(1-e.left.rate)
	w.size *= 1 - e.quiet*(1-e.left.size)
	w.sway *= 1 - e.quiet*(1-e.left.sway)
	w.drift *= 1 - e.quiet*(1-e.left.drift)
	return w
}
