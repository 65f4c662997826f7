package feedback

import (
	"math/rand/v2"

	"meltwatch/simulator/house"
)

// episode is the abnormal behaviour that a Demand asks for.
type episode struct {
	number int
	rest   float64    // activity that is left when the episode is fully quiet
	rate   float64    // losses of current a second
	all    float64    // share of losses that take all phases
	lost   [3]float64 // seconds until each phase returns
}

// follow draws an episode when its number changes, and its losses as time goes on.
func (e *episode) follow(d house.Demand, r *rand.Rand) {
	if d.Episode != e.number {
		*e = episode{number: d.Episode, rest: uniform(r, 0.35, 0.62), rate: 1 / uniform(r, 30, 80), all: uniform(r, 0.3, 0.7), lost: e.lost}
		if d.Kind == house.Flat {
			// The regulator's dead band holds the electrodes still, so that only the bath's
			// remaining movement is left.
			e.rest = uniform(r, 0.1, 0.23)
		}
	}
	for p := range e.lost {
		e.lost[p] = max(0, e.lost[p]-house.Period)
	}
	if d.Kind != house.DropOuts || d.Episode == 0 || e.anyLost() || r.Float64() >= e.rate*d.Quiet*house.Period {
		return
	}
	// The arc has nothing to burn on until the crust melts again.
	seconds, only := uniform(r, 1, 5), r.IntN(3)
	everyone := r.Float64() < e.all
	for p := range e.lost {
		if everyone || p == only {
			e.lost[p] = seconds
		}
	}
}

// anyLost says whether a phase has lost its current.
func (e *episode) anyLost() bool { return e.lost[0]+e.lost[1]+e.lost[2] > 0 }

// activity is how much the bath moves against normal work.
func (e *episode) activity(d house.Demand) float64 {
	activity := 1 - 0.85*d.Calm
	if d.Episode != 0 {
		activity *= 1 - d.Quiet*(1-e.rest)
	}
	if d.Power < 1 {
		activity *= 1 + 0.5*(1-d.Power) // a new arc is restless
	}
	return activity
}
