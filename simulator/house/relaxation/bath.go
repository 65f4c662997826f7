package relaxation

import (
	"math"
	"math/rand/v2"
)

// levels is the number of relaxation processes. Their times are spread evenly on a
// logarithmic scale.
const levels = 7

// shortest and timesRatio give the times, in seconds: 0.3, 0.9, 2.7 … 219.
const (
	shortest   = 0.3
	timesRatio = 3.0
)

// spread is the standard deviation of each process, fastest first. Equal ones would give
// 1/f; the film at the arc's foot and the pool's rolling weigh a little more.
var spread = [levels]float64{0.105, 0.070, 0.075, 0.075, 0.075, 0.055, 0.03}

// common is the share of each process's variance that the phases have in common: the
// whole pool is one.
const common = 0.40

// process is an Ornstein–Uhlenbeck process of unit variance.
type process struct{ value, keep, kick float64 }

func newProcess(r *rand.Rand, seconds float64) process {
	keep := math.Exp(-step / seconds)
	return process{value: r.NormFloat64(), keep: keep, kick: math.Sqrt(1 - keep*keep)}
}

func (p *process) advance(r *rand.Rand) { p.value = p.keep*p.value + p.kick*r.NormFloat64() }

// bath is the temperature of the melt below each electrode, as a departure of the
// logarithm of its conductance.
type bath struct {
	shared [levels]process
	own    [phases][levels]process
	scale  [levels]float64
	// vigour is how strongly each phase fluctuates: no two electrodes are alike.
	vigour [phases]float64
}

func newBath(r *rand.Rand) bath {
	var b bath
	vigour := 1.05 * math.Exp(0.09*r.NormFloat64())
	for p := range b.vigour {
		b.vigour[p] = math.Exp(0.08 * r.NormFloat64())
	}
	for k := range levels {
		seconds := shortest * math.Pow(timesRatio, float64(k)) * math.Exp(0.15*r.NormFloat64())
		b.scale[k] = vigour * spread[k] * math.Exp(0.1*r.NormFloat64())
		b.shared[k] = newProcess(r, seconds)
		for p := range phases {
			b.own[p][k] = newProcess(r, seconds)
		}
	}
	return b
}

func (b *bath) advance(r *rand.Rand) {
	for k := range levels {
		b.shared[k].advance(r)
		for p := range phases {
			b.own[p][k].advance(r)
		}
	}
}

// sum is the departure of phase p.
func (b *bath) sum(p int, a amplitude) float64 {
	total := 0.0
	for k := range levels {
		x := math.Sqrt(common)*b.shared[k].value + math.Sqrt(1-common)*b.own[p][k].value
		total += a.of(k) * b.scale[k] * x
	}
	return b.vigour[p] * total
}

// foam is the height of the foaming slag: the logarithm of how much it amplifies the
// bath's fluctuation. It relaxes at three speeds, the fast one for each phase alone.
type foam struct {
	slow, middle process
	fast         [phases]process
	weights      [3]float64
}

func newFoam(r *rand.Rand) foam {
	f := foam{slow: newProcess(r, 150), middle: newProcess(r, 40), weights: [3]float64{0.22, 0.23, 0.42}}
	for p := range phases {
		f.fast[p] = newProcess(r, 6)
	}
	return f
}

func (f *foam) advance(r *rand.Rand) {
	f.slow.advance(r)
	f.middle.advance(r)
	for p := range f.fast {
		f.fast[p].advance(r)
	}
}

// scale is how much the foam amplifies phase p, 1 in the quadratic mean. strength 0
// leaves the foam out.
func (f *foam) scale(p int, strength float64) float64 {
	w := f.weights
	height := w[0]*f.slow.value + w[1]*f.middle.value + w[2]*f.fast[p].value
	return math.Exp(strength*height - strength*strength*(w[0]*w[0]+w[1]*w[1]+w[2]*w[2]))
}

// burst is a gas pocket that opens the gap of one arc: within a tenth of a second, and
// closing within half a second or so.
type burst struct{ gap, keep float64 }

// burstsAMinute is how often one happens below an electrode.
const burstsAMinute = 0.9

func (b *burst) advance(r *rand.Rand, rate float64) float64 {
	b.gap *= b.keep
	if r.Float64() < burstsAMinute/60*step*rate {
		b.gap = 0.8 + 1.1*r.Float64()
		b.keep = math.Exp(-step / (0.25 + 0.35*r.Float64()))
	}
	return b.gap
}
