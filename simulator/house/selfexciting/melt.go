package selfexciting

import (
	"math"
	"math/rand/v2"
)

// melt is what differs between melts.
type melt struct {
	// The Hawkes process: events a second that come by themselves, how many events each
	// brings on at its own and at either other electrode, and how fast that fades, 1/s.
	base, own, other, fade float64
	// Each kind of event: share of events, size as a voltage, decay in seconds.
	share, size, decay [kinds]float64
	// tail is the tail index of the sizes, and displaced the share of an impulse that
	// reaches either other arc with the opposite sign.
	tail, displaced float64
	// The pool's sway and the slow drift of its level: standard deviation as a voltage and
	// time constant in seconds. slosh is how far the sway conserves the melt's volume:
	// with 1, what rises at one electrode falls at the others.
	sway, swayTime, drift, driftTime, slosh float64
	// What the crew does: factors on the rate of events and on the sway.
	feedRate, feedSway, exhaustRate, exhaustSway float64
	// Calm spells: what is left of the rate and of the sway.
	calmRate, calmSway float64
	// The controller: voltage a second for a unit of current, dead band, smoothing time in
	// seconds, and how far each phase's target is off.
	gain, deadBand, smoothing float64
	offset                    [3]float64
	// activity is how lively each electrode is against the others.
	activity [3]float64
	// The circuit: resistance and reactance against set-point and phase voltage.
	resistance, reactance [3]float64
	// The meter: steps that it averages, noise as a share, rounding in amperes.
	window       int
	noise, round float64
}

// typical is the middle of the melts, fitted to half an hour of a real furnace's normal
// work at 15 kA.
var typical = melt{
	base: 0.25, own: 0.45, other: 0.14, fade: 0.05,
	share: [kinds]float64{bubble: 0.6, collapse: 0.13, lengthened: 0.25},
	size:  [kinds]float64{bubble: 0.11, collapse: 0.125, lengthened: 0.61},
	decay: [kinds]float64{bubble: 0.2, collapse: 6, lengthened: 0.28},
	tail:  3, displaced: 0.04,
	sway: 0.0185, swayTime: 0.8, drift: 0.055, driftTime: 60, slosh: 0.42,
	feedRate: 0.8, feedSway: 0.75, exhaustRate: 1.4, exhaustSway: 1.2,
	calmRate: 0.1, calmSway: 0.35,
	gain: 0.03, deadBand: 0.045, smoothing: 4,
	resistance: [3]float64{0.2, 0.2, 0.2}, reactance: [3]float64{0.632, 0.632, 0.632},
	activity: [3]float64{1, 1, 1},
	noise:    0.001,
}

// mostChildren is how many events one event brings on at most. With 1 the process would
// grow without end.
const mostChildren = 0.88

// vary draws a melt around m.
func (m melt) vary(random *rand.Rand) melt {
	// about returns x, times or over a factor that grows with spread.
	about := func(x, spread float64) float64 {
		return x * math.Exp(spread*max(-2, min(2, random.NormFloat64())))
	}
	// The mean rate is base/(1 − children). It differs less between melts than the share
	// of events that others bring on, so that shares near 1 do not run away.
	usual := m.own + 2*m.other
	m.own, m.other = about(m.own, 0.12), about(m.other, 0.2)
	children := m.own + 2*m.other
	if children > mostChildren {
		m.own, m.other = m.own*mostChildren/children, m.other*mostChildren/children
		children = mostChildren
	}
	m.base = about(m.base*(1-children)/(1-usual), 0.18)
	m.fade = about(m.fade, 0.3)
	lively := about(1, 0.17)
	for k := range kinds {
		m.share[k] = about(m.share[k], 0.2)
		m.size[k] = lively * about(m.size[k], 0.12)
		m.decay[k] = about(m.decay[k], 0.2)
	}
	m.tail, m.displaced = about(m.tail, 0.1), about(m.displaced, 0.25)
	m.sway, m.swayTime = lively*about(m.sway, 0.12), about(m.swayTime, 0.25)
	m.drift, m.driftTime = about(m.drift, 0.15), about(m.driftTime, 0.3)
	m.slosh = min(1, about(m.slosh, 0.2))
	m.feedRate, m.feedSway = about(m.feedRate, 0.1), about(m.feedSway, 0.1)
	m.exhaustRate, m.exhaustSway = about(m.exhaustRate, 0.1), about(m.exhaustSway, 0.1)
	m.calmRate, m.calmSway = about(m.calmRate, 0.3), about(m.calmSway, 0.2)
	m.gain, m.deadBand, m.smoothing = about(m.gain, 0.3), about(m.deadBand, 0.25), about(m.smoothing, 0.3)
	for p := range 3 {
		m.offset[p] = 0.02 * random.NormFloat64()
		m.activity[p] = about(1, 0.12)
		m.resistance[p] = about(m.resistance[p], 0.1)
		m.reactance[p] = about(m.reactance[p], 0.03)
	}
	m.window = 2 + random.IntN(4)
	m.noise = about(m.noise, 0.5)
	m.round = [...]float64{1, 2, 5, 10, 20, 50}[random.IntN(6)]
	return m
}
