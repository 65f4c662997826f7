package relaxation

import (
	"math"
	"math/rand/v2"
)

// meter is a true-RMS instrument: it smooths the square of the current, refreshes its
// value at its own rate and rounds it.
type meter struct {
	smoothing, refresh, resolution, gain, noise float64

	square, value, due float64
}

func newMeter(r *rand.Rand) meter {
	return meter{
		smoothing:  0.12 + 0.2*r.Float64(),
		refresh:    []float64{0.1, 0.2, 0.25, 0.4, 0.5}[r.IntN(5)],
		resolution: []float64{1, 5, 10, 20, 50}[r.IntN(5)],
		noise:      8 + 20*r.Float64(),
	}
}

// ofPhase is the same instrument on one phase, with the error of its transformer.
func (m meter) ofPhase(r *rand.Rand) meter {
	m.gain = 1 + 0.006*r.NormFloat64()
	m.due = m.refresh * r.Float64()
	return m
}

func (m *meter) add(t, current float64) {
	if m.square == 0 {
		m.square = current * current
	}
	m.square += (1 - math.Exp(-step/m.smoothing)) * (current*current - m.square)
	if t >= m.due {
		m.value = math.Sqrt(m.square)
		// A gap in the calls skips the refreshes that were due in it.
		m.due += m.refresh * (1 + math.Floor((t-m.due)/m.refresh))
	}
}

func (m *meter) read(r *rand.Rand) float64 {
	return m.gain*m.value + min(m.noise, 0.1*m.value+5)*r.NormFloat64()
}

func (m *meter) round(x float64) float64 { return math.Round(x/m.resolution) * m.resolution }
