package selfexciting

import (
	"math"
	"math/rand/v2"
)

// process is an Ornstein–Uhlenbeck process with a standard deviation of 1.
type process struct{ value, keep, add float64 }

func newProcess(seconds float64, random *rand.Rand) process {
	keep := math.Exp(-step / seconds)
	return process{random.NormFloat64(), keep, math.Sqrt(1 - keep*keep)}
}

func (o *process) advance(random *rand.Rand) {
	o.value = o.keep*o.value + o.add*random.NormFloat64()
}

// pool is the motion of the melt under the electrodes between the events.
type pool struct {
	sway, drift [3]process
}

func newPool(m melt, random *rand.Rand) pool {
	var o pool
	for p := range 3 {
		o.sway[p] = newProcess(m.swayTime, random)
		o.drift[p] = newProcess(m.driftTime, random)
	}
	return o
}

func (o *pool) advance(random *rand.Rand) {
	for p := range 3 {
		o.sway[p].advance(random)
		o.drift[p].advance(random)
	}
}

// voltage is what the pool adds to the arc of electrode p.
func (o *pool) voltage(p int, m melt, w work) float64 {
	sway := o.sway[p].value - m.slosh*mean(o.sway)
	drift := o.drift[p].value - m.slosh*mean(o.drift)
	return m.sway*w.sway*sway + m.drift*w.drift*drift
}

func mean(o [3]process) float64 {
	return (o[0].value + o[1].value + o[2].value) / 3
}
