package conductance

import "meltwatch/simulator/house"

// regulator moves each electrode slowly towards the set-point.
type regulator struct {
	seconds float64 // over which it averages the current
	dead    float64 // share of the set-point within which it rests
	rate    float64 // log of length a second, a share of the set-point off

	average [3]float64 // shares of the set-point
	lift    [3]float64 // log of the arc's length against the usual one
}

func newRegulator(d dice) regulator {
	return regulator{
		seconds: d.logBetween(2, 8), dead: d.between(0.01, 0.04), rate: d.logBetween(0.008, 0.03),
		average: [3]float64{1, 1, 1},
	}
}

func (r *regulator) move(rms [3]float64, setPoint float64, d house.Demand) {
	for p := range rms {
		r.average[p] += (rms[p]/setPoint - r.average[p]) * part / r.seconds
		// A slipped electrode is clamped anew by hand.
		if d.Manual || d.Slip > 0 {
			continue
		}
		off := r.average[p] - 1
		off -= clip(off, -r.dead, r.dead)
		if r.average[p] < 0.45 {
			off *= 8 // a lost arc is struck again at once
		}
		r.lift[p] = clip(r.lift[p]+off*r.rate*part, -0.5, 0.5)
	}
}
