package selfexciting

import (
	"math"
	"math/rand/v2"

	"meltwatch/simulator/house"
)

// meter is the current transformer with its converter: true RMS over a window, with a
// little noise, rounded to the converter's step.
type meter struct {
	squares      [3][5]float64 // of the last steps' currents
	next, window int
	noise, round float64
}

func newMeter(m melt) meter { return meter{window: m.window, noise: m.noise, round: m.round} }

// add takes the currents of one step.
func (m *meter) add(current [3]float64) {
	for p, i := range current {
		m.squares[p][m.next] = i * i
	}
	m.next = (m.next + 1) % m.window
}

// mean is the RMS of each phase over the window.
func (m *meter) mean() (rms [3]float64) {
	for p := range rms {
		sum := 0.0
		for _, square := range m.squares[p][:m.window] {
			sum += square
		}
		rms[p] = math.Sqrt(sum / float64(m.window))
	}
	return rms
}

// read returns the values in amperes. The noise is a share of the value, so that the
// meter shows 0 while the furnace is off.
func (m *meter) read(setPoint float64, random *rand.Rand) (amperes [3]float64) {
	for p, i := range m.mean() {
		i *= setPoint * (1 + m.noise*random.NormFloat64())
		amperes[p] = max(0, min(house.FullScale, math.Round(i/m.round)*m.round))
	}
	return amperes
}
