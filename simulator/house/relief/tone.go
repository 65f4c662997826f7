package relief

import (
	"math"
	"math/rand/v2"
)

// tone maps linear light to display values: a local operator that compresses the coarse
// differences of brightness and keeps the fine ones, then a shoulder and a gamma.
type tone struct {
	coarse, detail  float32
	shoulder, black float32
	contrast        float32
	logs            field
	cells           [cellsAcross * cellsAcross]float32
	curve           [1024]float32
}

// cellsAcross is how many cells the coarse brightness has across the crop, cellWide a
// cell in pixels.
const (
	cellsAcross = 8
	cellWide    = side / cellsAcross
)

func newTone(r *rand.Rand) tone {
	t := tone{coarse: 1, detail: 1, shoulder: between(r, 0.6, 2), black: between(r, -0.02, 0.06), contrast: between(r, 0, 0.6)}
	if r.Float32() < 0.7 {
		t.coarse, t.detail = between(r, 0.4, 0.95), between(r, 0.95, 1.3)
	}
	gamma := float64(between(r, 1.9, 2.5))
	for k := range t.curve {
		x := float32(math.Pow(float64(k)/float64(len(t.curve)-1), 1/gamma))
		x = lerp(x, smooth(x), t.contrast)
		t.curve[k] = t.black + (1-t.black)*x
	}
	return t
}

func (t *tone) apply(in, out *picture) {
	t.cells = [cellsAcross * cellsAcross]float32{}
	mean := float32(0)
	for i := range in {
		t.logs[i] = log2(in[i].luminance() + 0.004)
		t.cells[i/side/cellWide*cellsAcross+i%side/cellWide] += t.logs[i] / (cellWide * cellWide)
		mean += t.logs[i] / pixels
	}
	for i := range in {
		base := t.base((float32(i%side)+0.5)/cellWide-0.5, (float32(i/side)+0.5)/cellWide-0.5)
		to := mean + t.coarse*(base-mean) + t.detail*(t.logs[i]-base)
		scale := exp2(to - t.logs[i])
		for k := range 3 {
			x := in[i][k] * scale
			x *= (1 + x/(16*t.shoulder)) / (1 + x*t.shoulder/2)
			out[i][k] = t.curve[int(clamp(x, 0, 1)*float32(len(t.curve)-1))]
		}
	}
}

// base interpolates the coarse brightness.
func (t *tone) base(x, y float32) float32 {
	x, y = clamp(x, 0, cellsAcross-1.001), clamp(y, 0, cellsAcross-1.001)
	i, j := int(x), int(y)
	x, y = x-float32(i), y-float32(j)
	a := t.cells[j*cellsAcross+i:]
	b := t.cells[(j+1)*cellsAcross+i:]
	return lerp(lerp(a[0], a[1], x), lerp(b[0], b[1], x), y)
}
