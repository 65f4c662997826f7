package analogue

import (
	"math"
	"math/rand/v2"
	"slices"

	"meltwatch/simulator/house"
)

const (
	firstArea = 0.0005 // of the crop, at the first glow
	roomTemp  = 450    // of a working shell, kelvin
	// reach is how many pixels, nearest first, may glow: four times the largest spot.
	reach = area / 5
	// firstRatio is the glow against the lit shell at the rim of what can be seen.
	firstRatio = 0.2
)

// calibrate finds the temperatures that matter under this melt's light.
func (c *camera) calibrate() {
	c.first = c.kelvin(firstRatio)
	c.peak = max(c.kelvin(c.peakRatio), c.first+10)
	c.dull = c.kelvin(c.overheat)
}

// hotSpot is the place and shape of one episode's spot: pixels from its centre outwards.
type hotSpot struct {
	of       house.Spot // episode and seed that it was made for
	pixel    []int32
	distance []float32 // pixels, rising
	crust    [area]float32
	full     float32       // area when fully grown, share of the crop
	dome     float32       // how peaked the temperature is
	glow     [reach]colour // of this frame, before the window
}

// make draws one to three blobs that share a warped outline.
func (h *hotSpot) make(s house.Spot, c *camera) {
	h.of = house.Spot{Episode: s.Episode, Seed: s.Seed}
	r := dice{rand.New(rand.NewPCG(s.Seed, 0x5b07))}
	h.full, h.dome = r.between(0.015, 0.05), r.between(0.35, 1)
	left, right, top := max(c.left, 0)+0.12, min(c.right, 1)-0.12, max(c.mouth, 0)+0.13
	x, y := side*r.between(left, right), side*r.between(top, 0.9)
	type blob struct{ x, y, size, flat float32 }
	blobs := []blob{{x, y, 1, r.between(0.7, 1.4)}}
	for range r.IntN(3) {
		blobs = append(blobs, blob{x + r.normal(4), y + r.normal(4), r.between(0.45, 0.9), r.between(0.7, 1.4)})
	}
	warp := r.texture(side, 9, 9, 3)
	copy(h.crust[:], r.texture(side, 12, 12, 3))
	type reached struct {
		d float32
		i int32
	}
	all := make([]reached, area)
	for i := range area {
		px, py := float32(i%side)+0.5, float32(i/side)+0.5
		d := float32(math.MaxFloat32)
		for k, b := range blobs {
			dx, dy := (px-b.x)*b.flat, (py-b.y)/b.flat
			// A lesser blob breaks out later than the first.
			d = min(d, sqrt(dx*dx+dy*dy)/b.size+float32(k))
		}
		all[i] = reached{d * (0.55 + 0.9*warp[i]), int32(i)}
		if c.open[i] == 0 {
			all[i].d += 3 // the plate behind a pipe is hot too, but is not seen
		}
	}
	slices.SortFunc(all, func(a, b reached) int {
		if a.d != b.d {
			return int(math.Copysign(1, float64(a.d-b.d)))
		}
		return int(a.i - b.i)
	})
	h.pixel, h.distance = h.pixel[:0], h.distance[:0]
	for _, a := range all[:reach] {
		h.pixel, h.distance = append(h.pixel, a.i), append(h.distance, a.d)
	}
}

// addSpot heats the plate. Behind the wetted part it is hottest in the middle; beyond its
// rim the excess falls off exponentially, as along a fin. It returns how many pixels lie
// within the rim.
func (c *camera) addSpot(v house.View) int {
	s, h := v.Spot, &c.spot
	if s.Episode == 0 || s.Growth <= 0 {
		return 0
	}
	if h.of.Episode != s.Episode || h.of.Seed != s.Seed {
		h.make(s, c)
	}
	growth, cover := float32(s.Growth), float32(s.Cover)
	// The front moves at a steady pace, so the root of the area grows evenly.
	root := mix(sqrt(firstArea), sqrt(h.full), growth)
	inside := min(int(root*root*area+0.5), reach/2)
	rim := h.distance[inside]
	hottest := c.first + (c.peak-c.first)*float32(math.Pow(float64(growth), 0.7))
	for k, i := range h.pixel {
		d := h.distance[k]
		t := c.first
		if k < inside {
			q := 1 - d*d/(rim*rim)
			t += (hottest - c.first) * mix(sqrt(q), q, h.dome)
		} else {
			t = roomTemp + (c.first-roomTemp)*exp((rim-d)/(6*c.conduction))
		}
		// Crust and spray hide the spot patch by patch.
		seen := min(1, 1+4*(h.crust[i]-1.25*cover)) * sqrt(1-cover)
		if seen <= 0 || cover >= 1 || c.open[i] == 0 {
			h.glow[k] = colour{}
			continue
		}
		g := c.radiance(t).times(seen * c.emissivity[i])
		h.glow[k] = g
		for b := range 3 {
			c.light[i][b] += g[b]
		}
	}
	return inside
}
