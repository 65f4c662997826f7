package emission

import (
	"math"
	"math/rand/v2"
)

// grain is a periodic fractal pattern of mean 0 and standard deviation 1; it repeats
// every grainSize pixels.
type grain [grainSize * grainSize]float32

const grainSize = 128

// newGrain draws a pattern whose finest octave has that many cells.
func newGrain(rng *rand.Rand, finest int) *grain {
	t := new(grain)
	var sum, squares float64
	for cells, weight := 8, 1.0; cells <= finest; cells, weight = cells*2, weight*0.6 {
		var knots [64 * 64]float64
		for i := range cells * cells {
			knots[i] = rng.NormFloat64()
		}
		pitch := float64(grainSize) / float64(cells)
		for i := range t {
			x, y := float64(i%grainSize)/pitch, float64(i/grainSize)/pitch
			x0, y0 := int(x), int(y)
			fx, fy := ease(x-float64(x0)), ease(y-float64(y0))
			x1, y1 := (x0+1)%cells, (y0+1)%cells
			up := knots[y0*cells+x0]*(1-fx) + knots[y0*cells+x1]*fx
			down := knots[y1*cells+x0]*(1-fx) + knots[y1*cells+x1]*fx
			t[i] += float32(weight * (up*(1-fy) + down*fy))
		}
	}
	for _, v := range t {
		sum += float64(v)
		squares += float64(v) * float64(v)
	}
	mean := sum / float64(len(t))
	spread := math.Sqrt(squares/float64(len(t)) - mean*mean)
	for i := range t {
		t[i] = (t[i] - float32(mean)) / float32(spread)
	}
	return t
}

func ease(f float64) float64 { return f * f * (3 - 2*f) }

func (t *grain) cell(x, y int) float32 {
	return t[(y&(grainSize-1))*grainSize+x&(grainSize-1)]
}

func (t *grain) at(x, y float64) float64 {
	x0, y0 := math.Floor(x), math.Floor(y)
	fx, fy := x-x0, y-y0
	i, j := int(x0), int(y0)
	up := float64(t.cell(i, j))*(1-fx) + float64(t.cell(i+1, j))*fx
	down := float64(t.cell(i, j+1))*(1-fx) + float64(t.cell(i+1, j+1))*fx
	return up*(1-fy) + down*fy
}
