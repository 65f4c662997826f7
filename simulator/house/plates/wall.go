package plates

import (
	"math"
	"math/rand/v2"
)

// rgb is linear light, 1 = white paint in full hall light.
type rgb struct{ r, g, b float32 }

func (c rgb) plus(k float32, d rgb) rgb { return rgb{c.r + k*d.r, c.g + k*d.g, c.b + k*d.b} }
func (c rgb) mix(k float32, d rgb) rgb  { return c.plus(k, rgb{d.r - c.r, d.g - c.g, d.b - c.b}) }
func (c rgb) times(d rgb) rgb           { return rgb{c.r * d.r, c.g * d.g, c.b * d.b} }
func (c rgb) grey() float32             { return 0.3*c.r + 0.59*c.g + 0.11*c.b }

const (
	margin   = 2
	wide     = side + 2*margin // the wall's side in pixels: the crop may shake within it
	fine     = 2               // the wall is painted so many times finer, then averaged
	tileSide = 128
)

// tile is periodic noise of several octaves with a mean of 0.5, mostly within 0–1.
type tile [tileSide * tileSide]float32

// noise draws a tile whose octaves fall off by rough.
func noise(r *rand.Rand, rough float64) *tile {
	t, lattice, amplitude, variance := new(tile), [64 * 64]float64{}, 1.0, 0.0
	for cells := 4; cells <= 64; cells *= 2 {
		for i := range cells * cells {
			lattice[i] = r.Float64() - 0.5
		}
		for i := range t {
			x, y := float64(i%tileSide*cells)/tileSide, float64(i/tileSide*cells)/tileSide
			x0, y0 := int(x), int(y)
			fx, fy := smooth(x-float64(x0)), smooth(y-float64(y0))
			x1, top, low := (x0+1)%cells, y0*cells, (y0+1)%cells*cells
			a, b := lattice[top+x0]*(1-fx)+lattice[top+x1]*fx, lattice[low+x0]*(1-fx)+lattice[low+x1]*fx
			t[i] += float32(amplitude * (a + fy*(b-a)))
		}
		variance += amplitude * amplitude * 0.046 // of a smoothed lattice
		amplitude *= rough
	}
	for i := range t {
		t[i] = 0.5 + t[i]*float32(0.22/math.Sqrt(variance))
	}
	return t
}

// at reads the tile between its points; it repeats in both directions.
func (t *tile) at(x, y float64) float64 {
	x, y = x+1<<20, y+1<<20 // so that truncation rounds down
	x0, y0 := int(x), int(y)
	fx, fy := float32(x-float64(x0)), float32(y-float64(y0))
	top, low, l, r := y0%tileSide*tileSide, (y0+1)%tileSide*tileSide, x0%tileSide, (x0+1)%tileSide
	a, b := t[top+l]+fx*(t[top+r]-t[top+l]), t[low+l]+fx*(t[low+r]-t[low+l])
	return float64(a + fy*(b-a))
}

func smooth(x float64) float64 { x = min(max(x, 0), 1); return x * x * (3 - 2*x) }

// edge is 0 below low and 1 above low + width.
func edge(x, low, width float64) float64 { return min(max((x-low)/width, 0), 1) }

func between(r *rand.Rand, low, high float64) float64 { return low + (high-low)*r.Float64() }

// pigments are what shells, and things stuck on them, are made of; the first is soot.
var pigments = []rgb{{0.06, 0.06, 0.06}, {0.30, 0.29, 0.28}, {0.42, 0.41, 0.42}, {0.18, 0.18, 0.21}, {0.30, 0.13, 0.06},
	{0.50, 0.22, 0.07}, {0.20, 0.10, 0.07}, {0.66, 0.63, 0.56}, {0.50, 0.44, 0.33}, {0.12, 0.22, 0.32}, // rust, dust, paint
	{0.12, 0.26, 0.18}, {0.45, 0.09, 0.05}, {0.60, 0.42, 0.06}}

// kind is what a coat can be.
type kind int

const (
	plate  kind = iota // or patch, some bolted
	cloud              // of rust, dust or soot, from above or below
	seam               // a gap or a bead of weld
	streak             // ran down
	stain              // with hard edges
	hose               // or bar, in front
)

// coat is one thing that was done to the wall or happened to it.
type coat struct {
	colour rgb
	height float32 // what slanting light shows at its edges
	heat   float32 // factor on what glows beneath; 0: it hangs in front of the wall
	cover  func(x, y float64) float64
}

// wall is the shell of one melt, row-major.
type wall struct {
	paint          [wide * wide]rgb        // reflectance
	slope          [wide * wide][2]float32 // of its relief, along x and y
	crust          [wide * wide]float32    // the texture's factor on what glows beneath
	grains, clouds *tile
}

// draw makes a coat of a kind; places are shares of the crop's side.
func (w *wall) draw(r *rand.Rand, k kind, lean float64) coat {
	x0, y0, dx, size, bow := r.Float64(), r.Float64(), 99*r.Float64(), r.Float64(), 0.1*r.NormFloat64()
	long, turned, lime := between(r, 0.4, 1.6), r.IntN(2) == 0, float32(between(r, 0.6, 0.95))
	half, bolt, fade, fineness := 0.04+0.5*size*size, max(0.05*long-0.045, 0), math.Copysign(0.6*y0, bow), 12+38*size
	c := coat{colour: pigments[r.IntN(len(pigments))],
		height: []float32{1.4, 0.3, -1.5, 0.3, 0.3, 2.5}[k], heat: []float32{0.8, 0.8, 1.3, 0.8, 0.8, 0}[k]}
	switch {
	case k == seam && size < 0.3:
		c.colour, c.height = pigments[8], 1.5
	case k == seam:
		c.colour = pigments[0]
	case (k == streak || k == stain) && turned:
		c.colour = rgb{lime, lime * 0.98, lime * 0.93}
	}
	lean += bow
	c.cover = func(x, y float64) float64 {
		if turned && (k == seam || k == hose) {
			x, y = y, x
		}
		switch k {
		case plate:
			u, v := math.Abs(x-x0+(y-y0)*lean)-half*long, math.Abs(y-y0-(x-x0)*lean)-half
			if math.Hypot(u+0.04, v+0.04) < bolt {
				return 0.35 // what lies beneath shows as a bolt
			}
			return edge(-max(u, v)+0.3*bow*(w.clouds.at(40*x, 40*y)-0.5), 0, 0.008)
		case cloud:
			return 0.85 * edge(w.grains.at(fineness*x+dx, fineness*y)+fade*(y-0.5), 0.35+0.3*x0, 0.4*y0*y0+0.01)
		case seam:
			return 1 - edge(math.Abs(x-x0-lean*y-0.02*(w.clouds.at(30*y, dx)-0.5)), 0.005+0.01*size, 0.006)
		case streak:
			n := w.grains.at((25+65*size)*x+dx, 4*y+dx)
			return edge(n-0.35*max(y-y0, 0), 0.55+0.2*x0, 0.04) * edge(y+0.3*n, 1.4*y0-0.6, 0.02)
		case stain:
			d := math.Hypot((x-x0)*long, y-y0) + (0.1+0.4*size)*(w.clouds.at(45*x+dx, 45*y)-0.5)
			return edge(0.03+0.17*size-d, 0, 0.012)
		default:
			return 1 - edge(math.Abs(y-y0-(long-1)*(x-0.5)-5*bow*(x-0.5)*(x-0.5)), 0.012+0.02*size, 0.008)
		}
	}
	return c
}

// build paints the wall as the camera sees it: turned, nearer or farther, a little bent.
func build(r *rand.Rand) *wall {
	w := &wall{grains: noise(r, between(r, 0.6, 0.95)), clouds: noise(r, 0.45)}
	base, lean, turn, bend := pigments[r.IntN(len(pigments))], 0.1*r.NormFloat64(), 0.1*r.NormFloat64(), 0.15*r.NormFloat64()
	zoom, scale, relief := between(r, 0.7, 1.5), between(r, 40, 110), float32(between(r, 0.15, 0.6))
	grain, blur := float32(between(r, 0.3, 1.3)), float32(between(r, 0, 0.3))
	coats := []coat{w.draw(r, plate, lean)}
	for k, most := range []int{plate: 9, cloud: 4, seam: 5, streak: 3, stain: 6} {
		for range r.IntN(most) {
			coats = append(coats, w.draw(r, kind(k), lean))
		}
	}
	r.Shuffle(len(coats), func(i, j int) { coats[i], coats[j] = coats[j], coats[i] })
	for range max(r.IntN(5)-2, 0) {
		coats = append(coats, w.draw(r, hose, lean))
	}
	const row = wide * fine
	height := [row * row]float32{}
	for i := range height {
		px, py := float64(i%row)/row-0.5, float64(i/row)/row-0.5
		x, y := 0.5+zoom*(px*(1+bend*py)+turn*py), 0.5+zoom*(py-turn*px+bend*px*px)
		g, at := float32(w.grains.at(scale*x, scale*y)-0.5), i/row/fine*wide+i%row/fine
		c, h, heat := base, 1.2*grain*g, float32(1)
		for _, k := range coats {
			a := float32(k.cover(x, y))
			c = c.mix(a, k.colour)
			h, heat = h+a*k.height, heat+a*(k.heat-heat)
		}
		w.paint[at] = w.paint[at].plus(max(1+1.5*grain*g, 0.1)/(fine*fine), c)
		w.crust[at] += heat * max(1+2*g+1.6*float32(w.clouds.at(60*x, 60*y)-0.5), 0.3) / (fine * fine)
		if height[i] = h; i >= row && i%row > 0 {
			w.slope[at][0] += relief * (h - height[i-1])
			w.slope[at][1] += relief * (h - height[i-row])
		}
	}
	for i := wide; i < len(w.paint)-wide; i++ { // out of focus
		w.paint[i] = w.paint[i].mix(blur, w.paint[i-1]).mix(blur, w.paint[i+wide])
	}
	return w
}
