package nightcam

import (
	"math"
	"math/rand/v2"

	"meltwatch/simulator/house"
)

// pixels is the crop's area.
const pixels = house.Side * house.Side

// spot is the hot spot of one episode.
type spot struct {
	seed   uint64
	patch  patch
	final  float64 // pixels when fully grown
	first  float64 // kelvin at the first glow
	peak   float64 // kelvin in the middle when fully grown
	drop   float64 // kelvin from the middle to the edge
	pace   float64 // exponent of the area's growth
	heat   float64 // exponent of the temperature's
	water  bool    // covered by water and steam, else by crust
	film   float64 // crop sides a second at which the water runs
	ox, oy float64
}

// newSpot draws the spot of an episode on this melt's shell.
func (c *Camera) newSpot(seed uint64) spot {
	d := dice{rand.New(rand.NewPCG(seed^0x5bd1e995, c.seed))}
	s := spot{
		seed: seed, final: d.between(0.015, 0.05) * pixels,
		pace: d.between(1, 1.5), heat: d.between(0.5, 0.9),
		water: d.chance(0.45), film: d.between(0.1, 0.6), ox: d.Float64(), oy: d.Float64(),
	}
	// Kelvin below and above the temperature that sends out one unit of light.
	s.first, s.peak, s.drop = c.reference-d.between(210, 260), c.reference+d.between(30, 330), d.between(60, 200)
	if d.chance(0.2) {
		s.peak, s.drop = c.reference-d.between(55, 115), d.between(10, 40)
	}
	if c.mode == day {
		s.peak += 60
	}
	x, y := c.shell.clearPlace(d, math.Sqrt(s.final/math.Pi)/house.Side)
	s.patch = newPatch(d, c.grain, x, y, int(1.6*s.final)+8)
	return s
}

// clearPlace finds a place on the open shell about which most of a disc can be seen.
func (s *shell) clearPlace(d dice, reach float64) (x, y float64) {
	best := -1
	for range 40 {
		px, py := d.between(0.1, 0.9), d.between(0.12, 0.9)
		seen := 0
		for i := range 24 {
			sin, cos := math.Sincos(float64(i) * 2.4)
			r := reach * math.Sqrt(float64(i)/24)
			p := pixel(px+r*cos, py+r*sin)
			if p >= 0 && s.on[p] && s.facing[p] > 0.35 {
				seen++
			}
		}
		if seen > best {
			best, x, y = seen, px, py
		}
		if seen >= 23 {
			break
		}
	}
	return x, y
}

// pixel is the pixel of the wide scene at a place, −1 outside.
func pixel(x, y float64) int {
	i, j := int(math.Floor(x*house.Side))+margin, int(math.Floor(y*house.Side))+margin
	if i < 0 || j < 0 || i >= wide || j >= wide {
		return -1
	}
	return j*wide + i
}

// drawSpot makes the spot glow as far as it has grown and is not covered.
func (c *Camera) drawSpot(v house.View) {
	if v.Spot.Episode == 0 || v.Spot.Growth <= 0 {
		return
	}
	if c.spot.patch == nil || c.spot.seed != v.Spot.Seed {
		c.spot = c.newSpot(v.Spot.Seed)
	}
	s := &c.spot
	grown := clip(v.Spot.Growth, 0, 1)
	least := 0.0005 * pixels
	size := least + (s.final-least)*math.Pow(grown, s.pace)
	middle := s.first + (s.peak-s.first)*math.Pow(grown, s.heat)
	middle += 4 * math.Sin(c.time*0.9+s.ox*6) // convection of the melt behind
	run := 0.0
	if s.water {
		run = s.film * c.time
	}
	for rank, i := range s.patch {
		if !c.shell.on[i] {
			continue
		}
		out := math.Sqrt((float64(rank) + 0.5) / size)
		if out > 1.25 {
			break
		}
		x, y := place(i)
		h := c.grain.at(1.3*x+s.ox, 1.3*y+s.oy-run)
		hidden := clip((1.15*v.Spot.Cover-h)/0.15, 0, 1)
		edge := 1.0
		if out > 1 {
			edge = math.Exp(-(out - 1) * (out - 1) / 0.01)
		}
		c.coverSpot(i, s.water, hidden*edge)
		seen := (1 - hidden) * (1 - hidden)
		t := middle - s.drop*out*out + 25*(c.grain.at(2.3*x+s.oy, 2.3*y+s.ox)-0.5)
		share := seen * edge * c.shell.emissivity(i)
		before := c.light[0][i]
		c.addGlow(i, t, share)
		c.spotGlow[i] = c.light[0][i] - before
		c.inSpot[i] = out <= 1 && seen > 0.35
	}
}

// coverSpot lays dark crust or gleaming water over a pixel.
func (c *Camera) coverSpot(i int, water bool, share float64) {
	if share <= 0 {
		return
	}
	for b := range c.bands {
		if water {
			c.light[b][i] = c.light[b][i]*(1-0.3*share) + 0.12*share*(c.shell.beam[i]+c.ambient)
		} else {
			c.light[b][i] *= 1 - 0.5*share
		}
	}
}
