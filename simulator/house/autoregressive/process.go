package autoregressive

import (
	"math"
	"math/rand/v2"

	"meltwatch/simulator/house"
)

const (
	phases = 3
	order  = 3
	// steps of the impulse response that count: the longest memory is well below them.
	steps = 240
	// grain is how finely the memory is told apart, a factor of 2^(1/grain).
	grain = 8
)

// process is the vector autoregression of a melt. Each phase has one real pole (it
// forgets) and a pair (it swings).
type process struct {
	forget   [phases]float64 // time constant, seconds
	swing    [phases]float64 // time constant of the swing, seconds
	period   [phases]float64 // of the swing, seconds
	coupling float64         // of each phase's last value to the others' next
	known    map[int]*coefficients
}

// coefficients are a process's at one memory.
type coefficients struct {
	own      [phases][order]float64
	coupling float64
	norm     [phases]float64 // innovation that makes the standard deviation 1
}

func draw(rng *rand.Rand) process {
	a := process{coupling: between(rng, -0.025, 0.025), known: map[int]*coefficients{}}
	swing := between(rng, 0.25, 0.7)
	period := math.Exp(between(rng, math.Log(1.6), math.Log(9)))
	forget := math.Exp(between(rng, math.Log(0.8), math.Log(2.8)))
	for p := range phases {
		a.forget[p] = forget * between(rng, 0.6, 1.5)
		a.swing[p] = swing * between(rng, 0.8, 1.25)
		a.period[p] = period * between(rng, 0.8, 1.25)
	}
	return a
}

// at returns the coefficients at a memory, 1 being the usual.
func (a *process) at(memory float64) *coefficients {
	key := int(math.Round(grain * math.Log2(memory)))
	if known := a.known[key]; known != nil {
		return known
	}
	c := a.derive(math.Exp2(float64(key) / grain))
	a.known[key] = c
	return c
}

// derive expands (1−r z)(1−2 s cos w z + s² z²) for each phase, and sums the squared
// impulse responses for the norm.
func (a *process) derive(memory float64) *coefficients {
	c := &coefficients{coupling: a.coupling}
	for p := range phases {
		r := math.Exp(-house.Period / (a.forget[p] * memory))
		s := math.Exp(-house.Period / (a.swing[p] * memory))
		b := 2 * s * math.Cos(2*math.Pi*house.Period/a.period[p])
		c.own[p] = [order]float64{r + b, -s*s - r*b, r * s * s}
	}
	var variance [phases]float64
	for source := range phases + 1 { // a shock of each phase alone, then of all at once
		var shock [phases]float64
		weight := 1 - common
		if source < phases {
			shock[source] = 1
		} else {
			shock, weight = [phases]float64{1, 1, 1}, common
		}
		var past [phases][order]float64
		for range steps {
			next := shock
			for p := range phases {
				for k := range order {
					next[p] += c.own[p][k] * past[p][k]
				}
				next[p] += c.coupling * (past[0][0] + past[1][0] + past[2][0] - past[p][0])
			}
			for p := range phases {
				past[p] = [order]float64{next[p], past[p][0], past[p][1]}
				variance[p] += weight * next[p] * next[p]
			}
			shock = [phases]float64{}
		}
	}
	for p := range phases {
		c.norm[p] = 1 / math.Sqrt(variance[p])
	}
	return c
}

// student is a heavy-tailed number of variance 1.
func student(rng *rand.Rand) float64 {
	squares := 0.0
	for range freedom / 2 { // a chi-square of even freedom is a sum of exponentials
		squares += 2 * rng.ExpFloat64()
	}
	return rng.NormFloat64() * math.Sqrt((freedom-2)/squares)
}

// revert moves an Ornstein-Uhlenbeck value by one period.
func revert(rng *rand.Rand, x, time, spread float64) float64 {
	keep := math.Exp(-house.Period / time)
	return keep*x + spread*math.Sqrt(1-keep*keep)*rng.NormFloat64()
}

func between(rng *rand.Rand, low, high float64) float64 { return low + (high-low)*rng.Float64() }
