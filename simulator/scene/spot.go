package scene

import (
	"math"
	"math/rand/v2"
	"slices"

	"meltwatch/simulator/furnace"
)

// spotField is the shape of one episode's hot spot: how far each cell lies from
// its core, so that a threshold gives the spot at any size.
type spotField struct {
	seed     uint64
	distance []float32 // cells with margin, in crop sides
	mottle   []float32 // unevenness of the glow
	sorted   []float32 // distances of a grid twice as fine, ascending
}

const fieldWide = Side + 2*margin

// blob is one centre of the spot.
type blob struct{ x, y, sx, sy, turn float64 }

// spotOf returns the field of the spot, made anew when the episode changes.
func (s *Scene) spotOf(p furnace.Spot) *spotField {
	if s.spot == nil || s.spot.seed != p.Seed {
		s.spot = newSpotField(p.Seed)
	}
	return s.spot
}

func newSpotField(seed uint64) *spotField {
	f := &spotField{seed: seed}
	r := rand.New(rand.NewPCG(seed, 13))
	blobs := make([]blob, 1+r.IntN(3))
	for i := range blobs {
		b := blob{x: 0.15 + 0.7*r.Float64(), y: 0.18 + 0.67*r.Float64(), sx: 0.7 + 0.6*r.Float64(), sy: 0.6 + 0.9*r.Float64(), turn: r.Float64() * math.Pi}
		if i > 0 {
			b.x, b.y = blobs[0].x+0.11*r.NormFloat64(), blobs[0].y+0.11*r.NormFloat64()
			b.sx, b.sy = 0.7*b.sx, 0.7*b.sy
		}
		blobs[i] = b
	}
	noise := uint32(seed)
	for y := range fieldWide {
		for x := range fieldWide {
			u, v := (float64(x-margin)+0.5)/Side, (float64(y-margin)+0.5)/Side
			f.distance = append(f.distance, float32(warped(blobs, u, v, noise)))
			f.mottle = append(f.mottle, float32(0.65+0.7*cloud(u*26, v*26, 2, noise+5)))
		}
	}
	for i := range 4 * Side * Side {
		u, v := (float64(i%(2*Side))+0.5)/(2*Side), (float64(i/(2*Side))+0.5)/(2*Side)
		f.sorted = append(f.sorted, float32(warped(blobs, u, v, noise)))
	}
	slices.Sort(f.sorted)
	return f
}

// warped is the distance of (u, v) from the nearest blob, bent by noise.
func warped(blobs []blob, u, v float64, seed uint32) float64 {
	u += 0.09 * (cloud(u*9, v*9, 3, seed) - 0.5)
	v += 0.09 * (cloud(u*9, v*9, 3, seed+31) - 0.5)
	least := math.Inf(1)
	for i, b := range blobs {
		sin, cos := math.Sincos(b.turn)
		du, dv := u-b.x, v-b.y
		d := math.Hypot((du*cos+dv*sin)/b.sx, (dv*cos-du*sin)/b.sy)
		if i > 0 {
			d += 0.035 // lesser blobs break out later
		}
		least = min(least, d)
	}
	return least
}

// radius is the distance within which the spot has the given share of the crop.
func (f *spotField) radius(share float64) float32 {
	at := share * float64(len(f.sorted))
	i := min(int(at), len(f.sorted)-2)
	part := float32(at - float64(i))
	return f.sorted[i] + part*(f.sorted[i+1]-f.sorted[i])
}

// reach is how far the spot's halo goes, edge how soft its border is, in crop sides.
const (
	reach = 0.11
	edge  = 0.022
)

// glowSpot adds the hot spot, which sits on the shell and shakes with it.
func (c *canvas) glowSpot(f *spotField, p furnace.Picture) {
	r := f.radius(p.Spot.Area)
	shine := float32(p.Spot.Shine * (1 - 0.97*p.Spot.Cover))
	for y := range Side {
		for x := range Side {
			n, ok := c.index(x, y)
			at := (y+c.my)*fieldWide + x + c.mx
			if !ok || f.distance[at] > r+reach+0.03 {
				continue
			}
			d := c.mix(f.distance, at)
			body := min(max((r-d)/edge+0.5, 0), 1)
			halo := 0.10 * max(0, 1-max(d-r, 0)/reach)
			core := min(max((r-d)/(r+0.01), 0), 1)
			heat := float32(p.Spot.Heat) * (0.55 + 0.45*core)
			strength := shine * (body*f.mottle[at]*(0.6+0.4*core) + halo*halo*4)
			c.glow[0][n] += strength
			c.glow[1][n] += strength * (0.13 + 0.75*heat*heat)
			c.glow[2][n] += strength * (0.04 + 0.72*heat*heat*heat)
		}
	}
}

// mix reads a field between cells at this picture's shake.
func (c *canvas) mix(field []float32, at int) float32 {
	top := field[at] + c.fx*(field[at+1]-field[at])
	low := field[at+fieldWide] + c.fx*(field[at+fieldWide+1]-field[at+fieldWide])
	return top + c.fy*(low-top)
}

// index is where crop cell (x, y) lies in the canvas.
func (c *canvas) index(x, y int) (int, bool) {
	x, y = x-c.area.x, y-c.area.y
	return y*c.area.w + x, x >= 0 && y >= 0 && x < c.area.w && y < c.area.h
}

// maskSpot marks the cells of a hot spot that can be seen.
func (s *Scene) maskSpot(p furnace.Spot, mask []byte) {
	clear(mask)
	if p.Shine < 0.05 || p.Cover > 0.5 {
		return
	}
	f, c := s.spotOf(p), s.crop
	r := f.radius(p.Area)
	for y := range Side {
		for x := range Side {
			if at := (y+c.my)*fieldWide + x + c.mx; c.mix(f.distance, at) < r {
				mask[y*Side+x] = 1
			}
		}
	}
}

// glowEmber adds a cinder of about two cells.
func (c *canvas) glowEmber(p furnace.Picture) {
	cx, cy := p.Ember.X*Side, p.Ember.Y*Side
	for y := int(cy) - 3; y <= int(cy)+3; y++ {
		for x := int(cx) - 3; x <= int(cx)+3; x++ {
			n, ok := c.index(x, y)
			if !ok {
				continue
			}
			d := math.Hypot(float64(x)+0.5-cx, float64(y)+0.5-cy)
			strength := float32(p.Ember.Shine * math.Exp(-d*d/2.2))
			c.glow[0][n] += strength
			c.glow[1][n] += strength * 0.35
			c.glow[2][n] += strength * 0.08
		}
	}
}
