package feedback

import (
	"math"
	"math/rand/v2"

	"meltwatch/simulator/house"
)

// bath is what disturbs the arcs. Lengths are millimetres that it adds to an arc.
type bath struct {
	bubbling [3]oscillator
	falls    [3]falls
	level    [3]wander
	vigour   [3]wander // log of the bubbling's strength
	volume   float64   // how far the bath keeps its volume, 0–1
	flutter  float64   // millimetres: the arc's foot jumps on the melt
	jump     [3]float64
}

// newBath draws a bath.
func newBath(r *rand.Rand) bath {
	b := bath{volume: uniform(r, 0, 0.2), flutter: uniform(r, 2, 4)}
	size := uniform(r, 0.85, 1.15) // of everything that moves in this melt
	for p := range b.level {
		b.bubbling[p] = newOscillator(r, 12*size)
		b.falls[p] = newFalls(r, size)
		// The crater's floor rises and sinks within minutes as charge melts.
		b.level[p] = newWander(r, 14.5*size, uniform(r, 25, 60))
		b.vigour[p] = newWander(r, 0.45, uniform(r, 60, 150))
	}
	return b
}

// advance moves the bath by one step. activity is 1 in normal work.
func (b *bath) advance(r *rand.Rand, activity float64, d house.Demand) {
	stir, rate := activity, 1.0
	if d.Feeding {
		stir, rate = 0.7*stir, 1.3 // cold charge is viscous, and more of it falls
	}
	if d.Exhaust {
		stir = 1.35 * stir
	}
	for p := range b.level {
		b.level[p].advance(r, activity*activity*step)
		b.vigour[p].advance(r, step)
		b.bubbling[p].advance(r, stir*math.Exp(b.vigour[p].value))
		b.falls[p].advance(r, activity, rate*activity)
		b.jump[p] += (stir*b.flutter*r.NormFloat64() - b.jump[p]) * 0.35
	}
}

// gap is how much longer the bath makes the arc of a phase. What rises under one
// electrode sinks under the others, since the bath keeps its volume.
func (b *bath) gap(phase int) float64 {
	mean := (b.bubbling[0].value + b.bubbling[1].value + b.bubbling[2].value) / 3
	return b.bubbling[phase].value - b.volume*mean + b.level[phase].value + b.falls[phase].sum() + b.jump[phase]
}

// oscillator is the bubbling under one electrode: a damped oscillator that noise drives
// and whose frequency wanders, since the bubbles' size does.
type oscillator struct {
	value, velocity float64
	frequency       float64 // Hz
	damping         float64 // share of the critical one
	size            float64 // standard deviation in normal work
	detune          wander  // log of the frequency
}

func newOscillator(r *rand.Rand, size float64) oscillator {
	return oscillator{
		frequency: uniform(r, 0.1, 0.25),
		damping:   uniform(r, 0.15, 0.4),
		size:      size * uniform(r, 0.85, 1.15),
		detune:    newWander(r, 0.35, uniform(r, 15, 40)),
	}
}

func (o *oscillator) advance(r *rand.Rand, strength float64) {
	o.detune.advance(r, step)
	omega := 2 * math.Pi * o.frequency * math.Exp(o.detune.value)
	// This drive gives the standard deviation strength·size at any frequency.
	drive := strength * o.size * math.Sqrt(4*o.damping*omega*omega*omega)
	o.velocity += (-omega*omega*o.value-2*o.damping*omega*o.velocity)*step + drive*math.Sqrt(step)*r.NormFloat64()
	o.value += o.velocity * step
}

// falls are lumps of charge that fall against one electrode. A lump cools the arc, which
// then needs more voltage, as a longer one does; a few lumps bridge it instead.
type falls struct {
	cooling, bridging float64 // millimetres
	rate              float64 // a second
	size              float64 // mean, millimetres
	large             float64 // share that almost puts the arc out
	bridges           float64 // share that bridges
	recovery          float64 // seconds
	short             float64 // seconds a bridge lasts
}

func newFalls(r *rand.Rand, size float64) falls {
	return falls{
		rate:     uniform(r, 0.2, 0.4),
		size:     uniform(r, 14, 20) * size,
		large:    uniform(r, 0.08, 0.14),
		bridges:  uniform(r, 0.25, 0.4),
		recovery: uniform(r, 0.5, 1.0),
		short:    uniform(r, 0.4, 1.0),
	}
}

func (f *falls) advance(r *rand.Rand, activity, rate float64) {
	f.cooling -= f.cooling * step / f.recovery
	f.bridging -= f.bridging * step / f.short
	if r.Float64() >= f.rate*rate*step {
		return
	}
	lump := activity * f.size * r.ExpFloat64()
	switch kind := r.Float64(); {
	case kind < f.large:
		f.cooling += activity * f.size * uniform(r, 6, 12)
	case kind < f.large+f.bridges:
		f.bridging += lump
	default:
		f.cooling += lump
	}
}

func (f *falls) sum() float64 { return f.cooling - f.bridging }

// wander is an Ornstein-Uhlenbeck process.
type wander struct{ value, size, time float64 }

func newWander(r *rand.Rand, size, time float64) wander {
	return wander{value: size * r.NormFloat64(), size: size, time: time}
}

func (w *wander) advance(r *rand.Rand, seconds float64) {
	share := seconds / w.time
	w.value += -w.value*share + w.size*math.Sqrt(2*share)*r.NormFloat64()
}
