package conductance

import (
	"math/rand/v2"

	"meltwatch/simulator/house"
)

// episode is what one abnormal episode does to the arcs.
type episode struct {
	number int
	rest   float64    // what is left of the bath's movement when fully quiet
	offset [3]float64 // where the phases stay, shares of the usual arc voltage
	drops  float64    // rectangular losses a second
	left   float64    // seconds of the present one
	phases lost
}

func newEpisode(seed uint64, d house.Demand) episode {
	e := episode{number: d.Episode, rest: 1}
	if d.Episode == 0 {
		return e
	}
	r := dice{rand.New(rand.NewPCG(seed, 0x65706973+uint64(d.Episode)))}
	switch d.Kind {
	case house.Flat:
		e.rest = r.between(0.06, 0.15)
	case house.Reduced:
		e.rest = r.between(0.35, 0.65)
	case house.DropOuts:
		e.rest = r.between(0.35, 0.65)
		e.drops = 1 / r.logBetween(15, 60)
	}
	for p := range e.offset {
		e.offset[p] = r.between(-0.04, 0.04)
	}
	return e
}

// drop returns the phases that a rectangular loss has taken, as of this Period.
func (e *episode) drop(d dice, demand house.Demand) lost {
	if e.drops == 0 {
		return lost{}
	}
	if e.left > 0 {
		e.left -= house.Period
		return e.phases
	}
	if d.Float64() < e.drops*house.Period*demand.Quiet {
		e.left = d.between(1, 5) - house.Period
		e.phases = lost{true, true, true}
		if d.Float64() < 0.65 {
			e.phases = lost{}
			e.phases[d.IntN(3)] = true
		}
		return e.phases
	}
	return lost{}
}
