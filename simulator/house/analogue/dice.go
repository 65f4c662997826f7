package analogue

import (
	"math"
	"math/rand/v2"
)

// dice draws what differs between melts and what changes from frame to frame.
type dice struct{ *rand.Rand }

func (d dice) between(low, high float32) float32 { return low + (high-low)*d.Float32() }

// decades draws evenly in the logarithm: for what spans orders of magnitude.
func (d dice) decades(low, high float32) float32 {
	return low * float32(math.Pow(float64(high/low), d.Float64()))
}

func (d dice) chance(p float32) bool { return d.Float32() < p }

// normal draws from a normal distribution of mean 0.
func (d dice) normal(deviation float32) float32 { return deviation * float32(d.NormFloat64()) }

// texture is value noise from 0 to 1 on a torus of n × n, n a power of two, with the given
// cells across and down in its coarsest octave (Perlin 1985 for the idea of octaves).
func (d dice) texture(n, across, down, octaves int) []float32 {
	t := make([]float32, n*n)
	weight := float32(1)
	for range octaves {
		lattice := make([]float32, across*down)
		for i := range lattice {
			lattice[i] = d.Float32() * weight
		}
		for y := range n {
			row, fy := cell(y, down, n)
			for x := range n {
				column, fx := cell(x, across, n)
				right, below := (column+1)%across, (row+1)%down
				top := mix(lattice[row*across+column], lattice[row*across+right], fx)
				bottom := mix(lattice[below*across+column], lattice[below*across+right], fx)
				t[y*n+x] += mix(top, bottom, fy)
			}
		}
		across, down, weight = min(2*across, n), min(2*down, n), weight*0.55
	}
	low, high := t[0], t[0]
	for _, v := range t {
		low, high = min(low, v), max(high, v)
	}
	for i := range t {
		t[i] = (t[i] - low) / (high - low)
	}
	return t
}

// cell is the lattice cell of a place and the smoothed way through it.
func cell(i, cells, n int) (int, float32) {
	at := float32(i*cells) / float32(n)
	whole := int(at)
	f := at - float32(whole)
	return whole % cells, f * f * (3 - 2*f)
}

func mix(a, b, f float32) float32 { return a + (b-a)*f }

// step rises from 0 at low to 1 at high.
func step(low, high, v float32) float32 {
	f := max(0, min(1, (v-low)/(high-low)))
	return f * f * (3 - 2*f)
}

func exp(x float32) float32 { return float32(math.Exp(float64(x))) }

func sqrt(x float32) float32 { return float32(math.Sqrt(float64(x))) }
