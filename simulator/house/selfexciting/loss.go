package selfexciting

import (
	"math/rand/v2"

	"meltwatch/simulator/house"
)

const (
	lossTime     = 3.0 // seconds that a lost arc stays out
	restrikeTime = 1.0 // seconds that the arcs are short after it
)

// loss says which arcs are out: one that the demand names, or those of a drop-out.
type loss struct {
	left     [3]float64 // seconds that a drop-out still lasts
	last     float64    // the demand's Lost before
	restruck float64    // seconds that the arcs stay short
}

// follow returns which arcs are out in this period.
func (l *loss) follow(d house.Demand, e episode, random *rand.Rand) (out [3]bool) {
	l.restruck = max(0, l.restruck-house.Period)
	if l.last >= 0 && l.last < lossTime && (d.Lost < 0 || d.Lost >= lossTime) {
		// The electrodes went down while the arc was out, so all arcs begin short.
		l.restruck = restrikeTime
	}
	l.last = d.Lost
	if random.Float64() < e.dropOuts*e.quiet*house.Period {
		seconds := 1 + 4*random.Float64()
		only := random.IntN(6) // a phase, or all of them
		for p := range l.left {
			if only >= 3 || only == p {
				l.left[p] = seconds
			}
		}
	}
	for p := range out {
		out[p] = l.left[p] > 0
		l.left[p] = max(0, l.left[p]-house.Period)
	}
	if d.Lost >= 0 && d.Lost < lossTime {
		out[d.Phase] = true
	}
	return out
}

// restrike shortens the arcs after a loss.
func (l *loss) restrike(voltage *[3]float64) {
	if l.restruck > 0 {
		for p := range voltage {
			voltage[p] = restrikeVoltage
		}
	}
}
