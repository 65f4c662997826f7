package selfexciting

import "meltwatch/simulator/house"

const (
	// fastest is how much arc voltage the winch adds or takes in a second.
	fastest = 0.012
	// reach is how far the controller moves an electrode from its usual place, as a
	// voltage.
	reach = 0.3
	// dead is the current below which an arc counts as out. The controller then waits: it
	// would drive the electrode into the pool.
	dead = 0.1
)

// controller moves the electrodes so that the current meets the set-point.
type controller struct {
	smooth   [3]float64 // the current's smoothed error
	position [3]float64 // of the electrodes, as a voltage of the arc
}

// act moves the electrodes for one period. Too much current raises the electrode, which
// lengthens the arc.
func (c *controller) act(m melt, current [3]float64, power float64) {
	if min(current[0], current[1], current[2]) < dead*power {
		return
	}
	for p, i := range current {
		e := i/power - 1 - m.offset[p]
		c.smooth[p] += (e - c.smooth[p]) * house.Period / (m.smoothing + house.Period)
		excess := max(0, c.smooth[p]-m.deadBand) + min(0, c.smooth[p]+m.deadBand)
		speed := max(-fastest, min(fastest, m.gain*excess))
		c.position[p] = max(-reach, min(reach, c.position[p]+speed*house.Period))
	}
}
