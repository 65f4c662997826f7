package emission

import (
	"math"
	"math/rand/v2"
)

const (
	coldest, hottest = 600.0, 3000.0 // kelvins of the table
	kelvinStep       = 8.0
	second           = 1.4388e7 // hc/k in nanometre kelvins
	halo             = 0.4      // how far beyond its edge a spot warms the shell, share of its area
	haloFall         = 700.0    // kelvins that the halo falls by, per such share
)

// bands are a sensor's three bands: centre and width in nanometres, and the share of near
// infrared (750–1,000 nm) that leaks through each dye.
type bands struct{ centre, width, leak [3]float64 }

func drawBands(rng *rand.Rand) bands {
	b := bands{centre: [3]float64{605, 542, 462}}
	leak := 0.0
	switch u := rng.Float64(); {
	case u < 0.15: // no infrared filter at all
		leak = between(rng, 0.3, 0.8)
	case u < 0.4:
		leak = math.Exp(between(rng, math.Log(0.001), math.Log(0.06)))
	}
	for k := range b.width {
		b.width[k] = between(rng, 34, 58)
		b.leak[k] = leak * between(rng, 0.5, 1)
	}
	b.leak[2] *= 1.25 // blue dyes open again in the infrared
	return b
}

// radiance is Planck's law through the bands, unscaled.
func (b *bands) radiance(kelvin float64) (e [3]float64) {
	for nm := 400.0; nm <= 1000; nm += 20 {
		x := 550 / nm
		power := x * x * x * x * x / math.Expm1(second/(nm*kelvin))
		for k := range e {
			z := (nm - b.centre[k]) / b.width[k]
			pass := math.Exp(-z * z / 2)
			if nm > 740 {
				pass += b.leak[k]
			}
			e[k] += power * pass
		}
	}
	return e
}

// white is the colour of a lamp of that temperature, mean 1.
func (b *bands) white(kelvin float64) [3]float64 {
	e := b.radiance(kelvin)
	sum := (e[0] + e[1] + e[2]) / 3
	return [3]float64{e[0] / sum, e[1] / sum, e[2] / sum}
}

// table is the bands' radiance by temperature, red at the reference being 1.
type table [int((hottest-coldest)/kelvinStep) + 2][3]float32

func (b *bands) table(reference float64) *table {
	t := new(table)
	unit := b.radiance(reference)[0]
	for i := range t {
		e := b.radiance(coldest + kelvinStep*float64(i))
		t[i] = [3]float32{float32(e[0] / unit), float32(e[1] / unit), float32(e[2] / unit)}
	}
	return t
}

func (t *table) at(kelvin float32) [3]float32 {
	x := (kelvin - coldest) / kelvinStep
	if x <= 0 {
		return [3]float32{}
	}
	i := min(int(x), len(t)-2)
	f := min(x-float32(i), 1)
	a, b := &t[i], &t[i+1]
	return [3]float32{a[0] + f*(b[0]-a[0]), a[1] + f*(b[1]-a[1]), a[2] + f*(b[2]-a[2])}
}

// burn is a hot area: the pixels in the order in which heat reaches them. It spreads as
// fluid does through an uneven wall (invasion percolation): always over the weakest pixel
// of its border. So its shapes are ragged, nested, connected and fixed.
type burn struct {
	key       uint64
	order     []int32
	rank      []float32 // how many pixels in view came before
	size      float64   // pixels fully grown
	low, high float64   // core at the first glow and fully grown, kelvins
	fall      float64   // core to edge, kelvins
	dark      float64   // reflectance that its crust loses, share
	changed   []change  // by the last shine
}

// change is a pixel of a burn that looks otherwise than without it.
type change struct {
	pixel  int32
	before float32 // radiance of the weakest channel without it
}

func (s *scene) burn(rng *rand.Rand, key uint64, start int32, size float64) burn {
	b := burn{key: key, size: size, dark: between(rng, 0, 0.55)}
	reference := float64(s.hot)
	b.low = reference + between(rng, -130, 20)
	b.high = reference + math.Exp(between(rng, math.Log(100), math.Log(430)))
	b.fall = between(rng, 0.2, 0.65) * (b.high - reference)
	angle, stretch := between(rng, 0, math.Pi), between(rng, 1, 1.8)
	sin, cos := math.Sincos(angle)
	rugged, shift := between(rng, 0.1, 0.45), between(rng, 0, side)
	cost := func(p int32) float64 {
		x, y := float64(p%side-start%side), float64(p/side-start/side)
		d := math.Hypot((x*cos+y*sin)/stretch, (y*cos-x*sin)*stretch) / math.Sqrt(size)
		return d + rugged*s.grain.at(5*float64(p%side)+shift, 5*float64(p/side))
	}
	type edge struct {
		pixel int32
		cost  float64
	}
	border := []edge{{start, 0}}
	var known [area]bool
	known[start] = true
	for seen := 0.0; len(border) > 0 && seen < size*(1+halo); {
		best := 0
		for i := range border {
			if border[i].cost < border[best].cost {
				best = i
			}
		}
		p := border[best].pixel
		border[best] = border[len(border)-1]
		border = border[:len(border)-1]
		if !s.front[p] {
			b.order = append(b.order, p)
			b.rank = append(b.rank, float32(seen))
			seen++
		}
		for _, step := range [4][2]int32{{1, 0}, {-1, 0}, {0, 1}, {0, -1}} {
			x, y := p%side+step[0], p/side+step[1]
			if q := y*side + x; x >= 0 && y >= 0 && x < side && y < side && s.shell[q] && !known[q] {
				known[q] = true
				border = append(border, edge{q, cost(q)})
			}
		}
	}
	return b
}

// shine adds the burn's emission and its crust's darkness to the frame.
func (b *burn) shine(s *scene, frame *plane, growth, cover float64) {
	b.changed = b.changed[:0]
	now := 2 + (b.size-2)*math.Pow(growth, 1.3)
	core := b.low + (b.high-b.low)*growth
	for j, p := range b.order {
		depth := (now - float64(b.rank[j])) / now
		if depth < -halo {
			break
		}
		kelvin := core - b.fall*growth*(1-depth)
		if depth < 0 {
			kelvin += haloFall * depth
		}
		own, old := s.planck.at(float32(kelvin)), s.planck.at(s.kelvin[p])
		show := float32((1 - cover) * min(max(1+4*depth, 0), 1))
		pixel := frame[3*p : 3*p+3]
		before, most := min(pixel[0], pixel[1], pixel[2]), float32(0)
		for k := range pixel {
			is := pixel[k]*(1-float32(b.dark)*show) + max(own[k]-old[k], 0)*show
			d := (is - pixel[k]) / (pixel[k] + 0.05)
			most = max(most, d, -d)
			pixel[k] = min(is, brightest)
		}
		if depth > 0 && most > noticed {
			b.changed = append(b.changed, change{p, before})
		}
	}
}
