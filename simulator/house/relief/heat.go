package relief

import (
	"math"
	"math/rand/v2"
	"slices"

	"meltwatch/simulator/house"
)

// heat is what radiates by itself: the hot spot, embers, an overheated shell.
type heat struct {
	seed uint32
	// table is the light of hot metal for each kelvin from coldest.
	table [hottest - coldest + 1]rgb
	rise  float32 // of the spot's temperature from the first glow to fully grown

	spot   shape
	buffer picture
	spread coarse
}

// coldest is below the faintest visible glow.
const (
	coldest = 850
	hottest = 1700
)

// wien is Planck's law at a wavelength in micrometres, in Wien's limit, relative to the
// value at 610 nm and reference kelvin. The second radiation constant is 14,388 µm·K.
func wien(wavelength, kelvin, reference float64) float64 {
	return math.Pow(0.61/wavelength, 5) * math.Exp(14388/(0.61*reference)-14388/(wavelength*kelvin))
}

func newHeat(r *rand.Rand, reference float32) heat {
	h := heat{seed: r.Uint32(), rise: between(r, 190, 320)}
	// At match kelvin the metal's red is as bright as the lit shell.
	match := float64(between(r, 1040, 1120))
	// Silicon sees the near infrared too, which the filter does not block wholly.
	leak := float64(between(r, 0, 0.012))
	for k := range h.table {
		kelvin := float64(coldest + k)
		infrared := leak * wien(0.85, kelvin, match)
		for c, wavelength := range []float64{0.61, 0.54, 0.465} {
			h.table[k][c] = 1.2 * reference * float32(wien(wavelength, kelvin, match)+infrared)
		}
	}
	return h
}

func (h *heat) radiance(kelvin float32) rgb {
	if kelvin < coldest {
		return rgb{}
	}
	return h.table[min(int(kelvin)-coldest, len(h.table)-1)]
}

// shape is a hot spot's place and form: the order in which its pixels come to glow.
type shape struct {
	episode int
	seed    uint64
	rank    [pixels]float32 // place in that order, in pixels of bare shell
	area    float32         // of the fully grown spot, in pixels
	crust   field
}

func (p *shape) draw(s house.Spot, bare *field) {
	p.episode, p.seed = s.Episode, s.Seed
	r := rand.New(rand.NewPCG(s.Seed, 0x73706f74))
	p.area = between(r, 0.016, 0.048) * pixels
	x, y := p.place(r, bare)
	seed, wild, stretch := r.Uint32(), between(r, 0.03, 0.1), between(r, 0.6, 1.7)
	type blob struct{ x, y, size float32 }
	blobs := []blob{{x, y, 1}}
	for range r.IntN(3) {
		a := 2 * math.Pi * r.Float64()
		d := between(r, 0.05, 0.13)
		blobs = append(blobs, blob{x + d*float32(math.Cos(a)), y + d*float32(math.Sin(a)), between(r, 0.4, 0.8)})
	}
	var distance field
	order := make([]int, pixels)
	for i := range order {
		order[i] = i
		px, py := (float32(i%side)+0.5)/side, (float32(i/side)+0.5)/side
		wx := px + wild*(fractal(seed, 9*px, 9*py, 3)-0.5)*2
		wy := py + wild*(fractal(seed+50, 9*px, 9*py, 3)-0.5)*2
		distance[i] = 99
		for k, b := range blobs {
			dx, dy := (wx-b.x)*stretch, (wy-b.y)/stretch
			d := sqrt(dx*dx+dy*dy) / b.size
			if k > 0 {
				d += 0.03
			}
			distance[i] = min(distance[i], d)
		}
		p.crust[i] = 0.06 + 0.9*fractal(seed+99, 12*px, 12*py, 2)
	}
	slices.SortFunc(order, func(a, b int) int {
		switch {
		case distance[a] < distance[b]:
			return -1
		case distance[a] > distance[b]:
			return 1
		}
		return a - b
	})
	count := float32(0)
	for _, i := range order {
		count += bare[i]
		p.rank[i] = count
	}
}

// place finds where most of the shell is bare: heat doesn't come through fittings.
func (p *shape) place(r *rand.Rand, bare *field) (bestX, bestY float32) {
	best := float32(-1)
	for range 30 {
		x, y := between(r, 0.14, 0.86), between(r, 0.14, 0.86)
		share, n := float32(0), float32(0)
		for dy := -6; dy <= 6; dy++ {
			for dx := -6; dx <= 6; dx++ {
				i, j := int(x*side)+dx, int(y*side)+dy
				if i >= 0 && i < side && j >= 0 && j < side {
					share += bare[j*side+i]
				}
				n++
			}
		}
		if share /= n; share > best+0.02 {
			best, bestX, bestY = share, x, y
		}
		if best > 0.6 {
			break
		}
	}
	return bestX, bestY
}

// add lets the hot things glow in the frame of c.
func (h *heat) add(v house.View, c *camera) {
	c.spot, c.seen = picture{}, field{}
	hot := false
	if v.Spot.Episode > 0 && v.Spot.Growth > 0 {
		if h.spot.episode != v.Spot.Episode || h.spot.seed != v.Spot.Seed {
			h.spot.draw(v.Spot, &c.shell.plate)
		}
		h.addSpot(v, c)
		hot = true
	}
	h.buffer = c.spot
	if v.Ember > 0 {
		h.addEmber(v)
		hot = true
	}
	if hot {
		h.addNeighbours(c)
	}
	if v.Overheated > 0 {
		for i := range c.light {
			uneven := 40 * fractal(h.seed, float32(i%side)/20, float32(i/side)/20, 2)
			kelvin := 850 + (150*float32(v.Overheated)+uneven)*c.shell.thermal[i] + 60*float32(v.Overheated)
			c.light[i] = c.light[i].plus(h.radiance(kelvin).times(c.shell.thermal[i] * clamp(3*float32(v.Overheated), 0, 1)))
		}
	}
}

func (h *heat) addSpot(v house.View, c *camera) {
	growth := float32(v.Spot.Growth)
	const first = 0.0005 * pixels
	area := first + (h.spot.area-first)*float32(math.Pow(float64(growth), 1.2))
	core := 1085 + h.rise*growth
	edge := 1060 + 0.5*h.rise*growth
	flutter := 8 * (noise(h.seed+1, float32(v.Time*2), 0) - 0.5)
	for i, rank := range h.spot.rank {
		if rank > 3*area+6 || c.shell.plate[i] == 0 {
			continue
		}
		inside := rank / area
		kelvin := edge + (core-edge)*(1-min(inside, 1)) + flutter
		if inside > 1 {
			kelvin -= min(90+110*(inside-1), 260)
		}
		kelvin += 50 * (h.spot.crust[i] - 0.5)
		open := ramp(-0.12, 0.12, h.spot.crust[i]-1.05*float32(v.Spot.Cover)+0.06)
		if v.Spot.Cover >= 1 {
			open = 0
		}
		c.spot[i] = h.radiance(kelvin).times(c.shell.plate[i] * open)
		c.seen[i] = clamp((area-rank)/(0.1*area+1)+0.5, 0, 1) * c.shell.plate[i] * open
	}
}

// addEmber draws a cinder that lies on the shell.
func (h *heat) addEmber(v house.View) {
	level := float32(v.Ember)
	x, y := float32(v.EmberX), float32(v.EmberY)
	seed := h.seed + uint32(v.EmberX*9973) + uint32(v.EmberY*7919)
	size := (0.018 + 0.035*hash(seed, 3, 4)) * (0.5 + 0.5*level)
	flicker := 25 * (noise(seed, float32(v.Time*4), 0) - 0.5)
	for i := range h.buffer {
		dx, dy := (float32(i%side)+0.5)/side-x, (float32(i/side)+0.5)/side-y
		d := sqrt(dx*dx+1.3*dy*dy) / size
		if d > 3 {
			continue
		}
		d += 1.1 * (noise(seed, 14*dx/size/5, 14*dy/size/5) - 0.5)
		kelvin := 1000 + 260*level - 70*d*d + flicker
		h.buffer[i] = h.buffer[i].plus(h.radiance(kelvin).times(clamp(4*level, 0, 1)))
	}
}

// addNeighbours adds the glow itself, and its light on what stands beside it.
func (h *heat) addNeighbours(c *camera) {
	h.spread.spread(&h.buffer, 1)
	for i := range c.light {
		near := h.spread.at(i%side, i/side)
		if near[0] == 0 {
			continue // and so is the glow itself
		}
		near = near.by(c.shell.albedo[i]).times(0.9 * c.shell.open[i])
		c.light[i] = c.light[i].plus(h.buffer[i]).plus(near)
		c.spot[i] = c.spot[i].plus(near)
	}
}
