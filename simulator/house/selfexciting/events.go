package selfexciting

import (
	"math"
	"math/rand/v2"
)

// The kinds of events. A bubble lengthens or shortens the arc for about a second. A
// collapse of the crust shorts it for longer. A lengthened arc nearly goes out and comes
// back at once: the dips of the record.
const (
	bubble = iota
	collapse
	lengthened
	kinds
)

// largest is how many typical sizes an event has at most: the gap between electrode and
// pool is limited.
const largest = 6

// events are the Hawkes process of the three electrodes with its impulses.
type events struct {
	excited [3]float64 // what past events add to the rate, 1/s
	wait    [3]float64 // integral of the rate until the next event
	impulse [3][kinds]float64
	fade    float64        // of excited, a step
	decay   [kinds]float64 // of impulse, a step
	chance  [kinds]float64 // up to and with this kind
}

func newEvents(m melt, random *rand.Rand) events {
	var e events
	e.fade = math.Exp(-step * m.fade)
	total := 0.0
	for k := range kinds {
		e.decay[k] = math.Exp(-step / m.decay[k])
		total += m.share[k]
		e.chance[k] = total
	}
	for k := range kinds {
		e.chance[k] /= total
	}
	for p := range e.wait {
		e.wait[p] = random.ExpFloat64()
	}
	return e
}

// advance moves the process by one step. An event comes when the integral of the rate has
// grown by an exponential amount (time rescaling), which holds for any rate.
func (e *events) advance(m melt, w work, random *rand.Rand) {
	for p := range 3 {
		e.excited[p] *= e.fade
		for k := range kinds {
			e.impulse[p][k] *= e.decay[k]
		}
	}
	for p := range 3 {
		// A restless pool starts more events by itself. A still one also answers less.
		e.wait[p] -= step * (m.base*m.activity[p]*w.rate + e.excited[p]*min(w.rate, 1))
		for e.wait[p] < 0 {
			e.wait[p] += random.ExpFloat64()
			e.happen(p, m, w, random)
		}
	}
}

// happen lets one event come at electrode p.
func (e *events) happen(p int, m melt, w work, random *rand.Rand) {
	u, kind := random.Float64(), bubble
	for kind < kinds-1 && u > e.chance[kind] {
		kind++
	}
	// Lomax: exponential for small sizes, a power law for large ones. Its mean is 1.
	size := (m.tail - 1) * (math.Exp(random.ExpFloat64()/m.tail) - 1)
	// An arc that burns submerged has less room, so its largest events shrink most.
	size = min(size, largest*w.size) * m.size[kind] * w.size
	if kind == collapse || kind == bubble && random.Float64() < 0.5 {
		size = -size
	}
	for q := range 3 {
		if q == p {
			e.impulse[q][kind] += size
			e.excited[q] += m.own * m.fade
		} else {
			e.impulse[q][kind] -= size * m.displaced
			e.excited[q] += m.other * m.fade
		}
	}
}

// voltage is what the events add to the arc of electrode p.
func (e *events) voltage(p int) (v float64) {
	for _, x := range e.impulse[p] {
		v += x
	}
	return v
}
