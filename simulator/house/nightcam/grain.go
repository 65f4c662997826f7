package nightcam

import (
	"math"
	"slices"
)

const grainSide = 128

// grain is fractal noise that repeats after one unit in both directions. Its values are
// spread evenly over 0–1, so that the share of it below a level is that level.
type grain []float64

func newGrain(d dice) grain {
	g := make(grain, grainSide*grainSide)
	weight := 1.0
	fall := d.between(0.5, 0.75)
	for cells := 4; cells <= 64; cells *= 2 {
		lattice := make(grain, cells*cells)
		for i := range lattice {
			lattice[i] = d.Float64()
		}
		for i := range g {
			x, y := float64(i%grainSide)/grainSide, float64(i/grainSide)/grainSide
			g[i] += weight * lattice.sample(cells, x, y)
		}
		weight *= fall
	}
	order := make([]int, len(g))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		if g[a] < g[b] {
			return -1
		}
		return 1
	})
	for rank, i := range order {
		g[i] = float64(rank) / float64(len(g))
	}
	return g
}

// at is the noise at a point.
func (g grain) at(x, y float64) float64 { return g.sample(grainSide, x, y) }

// sample interpolates a lattice of side × side values smoothly.
func (g grain) sample(side int, x, y float64) float64 {
	x, y = (x-math.Floor(x))*float64(side), (y-math.Floor(y))*float64(side)
	i, j := int(x), int(y)
	fx, fy := x-float64(i), y-float64(j)
	fx, fy = fx*fx*(3-2*fx), fy*fy*(3-2*fy)
	i, j = i%side, j%side
	k, l := (i+1)%side, (j+1)%side
	top := g[j*side+i]*(1-fx) + g[j*side+k]*fx
	bottom := g[l*side+i]*(1-fx) + g[l*side+k]*fx
	return top*(1-fy) + bottom*fy
}

// patch is an irregular blob: the pixels around a point, nearest first.
type patch []int

// newPatch orders pixels by their distance to one to three overlapping lobes, warped by
// the grain, and keeps the nearest size of them.
func newPatch(d dice, g grain, x, y float64, size int) patch {
	type lobe struct{ x, y, stretch, turn, scale float64 }
	lobes := make([]lobe, 1+d.IntN(3))
	reach := math.Sqrt(float64(size)/math.Pi) / (wide - 2*margin)
	for i := range lobes {
		lobes[i] = lobe{x, y, d.between(0.6, 1.6), d.between(0, math.Pi), 1}
		if i > 0 {
			lobes[i].x += d.between(-1, 1) * reach
			lobes[i].y += d.between(-1, 1) * reach
			lobes[i].scale = d.between(1, 1.8)
		}
	}
	ox, oy, warp := d.Float64(), d.Float64(), d.between(0.4, 1.3)
	far := make([]float64, area)
	order := make(patch, area)
	for i := range area {
		px, py := place(i)
		far[i] = math.Inf(1)
		for _, l := range lobes {
			sin, cos := math.Sincos(l.turn)
			dx, dy := px-l.x, py-l.y
			u, v := dx*cos+dy*sin, dy*cos-dx*sin
			far[i] = min(far[i], l.scale*math.Hypot(u*l.stretch, v/l.stretch))
		}
		far[i] *= 1 + warp*(g.at(1.7*px+ox, 1.7*py+oy)-0.5)
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		if far[a] < far[b] || (far[a] == far[b] && a < b) {
			return -1
		}
		return 1
	})
	return slices.Clone(order[:min(size, area)])
}
