package relaxation

import (
	"math"
	"math/rand/v2"

	"meltwatch/simulator/house"
)

// hydraulics raise and lower one electrode. A cylinder stands still until the smoothed
// current leaves the dead band, then moves with a speed that grows with the error, after
// the valve's lag.
type hydraulics struct {
	height float64 // of the electrode, as a fall of the logarithm of the conductance
	speed  float64
	smooth float64 // the error that the controller sees

	band, gain, most float64
	wait             float64 // until the crew looks again, when it moves the electrodes itself
}

func newHydraulics(r *rand.Rand) hydraulics {
	return hydraulics{band: 0.04 + 0.04*r.Float64(), gain: 0.06 + 0.06*r.Float64(), most: 0.015 + 0.015*r.Float64()}
}

func (h *hydraulics) advance(r *rand.Rand, e float64, d house.Demand) {
	if d.Power < 0.5 {
		h.speed, h.smooth = 0, 0
		return
	}
	h.smooth += step / 1.5 * (e - h.smooth)
	wanted := 0.0
	if beyond := math.Abs(h.smooth) - h.band; beyond > 0 {
		wanted = math.Copysign(min(h.gain*beyond, h.most), h.smooth)
	}
	if d.Manual {
		wanted = h.jog(r)
	}
	h.speed += step / 0.4 * (wanted - h.speed)
	h.height = min(max(h.height+h.speed*step, -0.4), 0.4)
}

// jog is the crew's way: to look now and then, and to move an electrode that is far off.
func (h *hydraulics) jog(r *rand.Rand) float64 {
	h.wait -= step
	if h.wait > 0 {
		return 0
	}
	if math.Abs(h.smooth) < 0.09 {
		h.wait = 15 + 30*r.Float64()
		return 0
	}
	return math.Copysign(h.most, h.smooth)
}
