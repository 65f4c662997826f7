package conductance

import (
	"math"

	"meltwatch/simulator/house"
)

// longest is the longest window, in parts.
const longest = 6

// meter reports the RMS current over a window of its own, at moments of its own.
type meter struct {
	window  int        // parts that the root mean square is taken over
	scale   [3]float64 // current transformers' errors
	quantum float64    // amperes
	refresh float64    // seconds between new values
	stuck   float64    // held values a second
	due     float64    // seconds to the next value
	held    float64    // seconds for which the last report stays

	square      [longest][3]float64 // of the latest parts, amperes squared
	next        int
	shown, last [3]float64
}

func newMeter(d dice, setPoint float64) meter {
	m := meter{
		window: 1 + d.IntN(longest), quantum: d.logBetween(2, 40),
		refresh: d.between(0.1, 0.7),
	}
	if d.Float64() < 0.5 {
		m.stuck = d.logBetween(0.0005, 0.01)
	}
	for p := range m.scale {
		m.scale[p] = d.between(0.985, 1.015)
		m.shown[p] = setPoint
	}
	return m
}

// read takes one part's RMS values into the window.
func (m *meter) read(rms [3]float64, d dice) {
	m.due -= part
	for p := range rms {
		m.square[m.next][p] = rms[p] * rms[p]
	}
	m.next = (m.next + 1) % m.window
	if m.due > 0 {
		return
	}
	m.due += m.refresh
	for p := range rms {
		sum := 0.0
		for k := range m.window {
			sum += m.square[k][p]
		}
		x := m.scale[p]*math.Sqrt(sum/float64(m.window)) + 8*d.NormFloat64()
		m.shown[p] = clip(m.quantum*math.Round(x/m.quantum), 0, house.FullScale)
	}
}

// report is what the meter answers at the end of a Period.
func (m *meter) report(d dice) [3]float64 {
	if m.held > 0 {
		m.held -= house.Period
		return m.last
	}
	if d.Float64() < m.stuck*house.Period {
		m.held = d.between(0.5, 2.5)
	}
	m.last = m.shown
	return m.last
}
