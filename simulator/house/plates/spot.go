package plates

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"meltwatch/simulator/house"
)

// unseen is the crust factor below which something hangs in front of the wall.
const unseen = 0.15

// spot is how the hot spot of an episode burns through the wall.
type spot struct {
	episode       int
	order         []int   // the wall's pixels in the order in which they burn
	area          float64 // pixels, fully grown
	heat          float64 // of its core, fully grown
	drop, rim     float64 // how the heat falls towards the rim and, an area, beyond
	scorch, reach float64 // factor of drying on the paint; areas
	scar          [wide * wide]float32
	ember, kindle float64              // the cinder's level and heat
	power         float64              // of all that glows, as this camera sees heat
	temperature   [wide * wide]float32 // of what glows, 1 = white hot
}

// ignite lays down where and how an episode's spot grows: around one to three irregular
// middles, sooner where the wall's crust lets heat through.
func (c *camera) ignite(s house.Spot) {
	r := rand.New(rand.NewPCG(s.Seed, stream))
	c.episode, c.area = s.Episode, between(r, 0.015, 0.05)*count
	c.heat, c.drop, c.rim = between(r, 0.6, 1.1), between(r, 0.1, 0.5), between(r, 2, 12)
	c.scorch, c.reach = []float64{between(r, 0.35, 0.9), between(r, 1, 1.4)}[r.IntN(5)/4], between(r, 1.5, 4)
	x0, y0, dx := between(r, 0.16, 0.84)*wide, between(r, 0.16, 0.84)*wide, 99*r.Float64()
	rough, weak := between(r, 4, 14), between(r, 0, 3)
	var when [wide * wide]float64
	c.order = c.order[:0]
	for middle := range 1 + r.IntN(3) {
		late, long := 2.5*float64(middle)*r.Float64(), between(r, 1, 2.4)
		sin, cos := math.Sincos(between(r, 0, math.Pi))
		x0, y0 := x0+2*float64(middle)*r.NormFloat64(), y0+2*float64(middle)*r.NormFloat64()
		for i := range when {
			x, y := float64(i%wide)-x0, float64(i/wide)-y0
			then := late + math.Hypot((x*cos+y*sin)/long, y*cos-x*sin)
			if middle == 0 || then < when[i] {
				when[i] = then
			}
		}
	}
	for i := range when {
		// The roughness grows from the middles, so that the first glow is one piece.
		n := c.clouds.at(2*float64(i%wide)+dx, 2*float64(i/wide)) - 0.5
		when[i] += min(when[i]/6, 1) * (rough*n - weak*float64(c.crust[i]-1))
		if c.order = append(c.order, i); c.crust[i] < unseen {
			when[i] += 2 * rough // a hose never hides all of it
		}
	}
	slices.SortFunc(c.order, func(a, b int) int { return cmp.Compare(when[a], when[b]) })
}

// warm sets the wall's temperature and marks in mask where the spot can be seen.
func (c *camera) warm(v house.View, mask []byte, corner int) {
	for i := range c.temperature {
		c.temperature[i] = float32(v.Overheated) * (0.2 + 0.2*c.clouds[i])
	}
	c.cinder(v)
	s := v.Spot
	if s.Episode == 0 || s.Growth <= 0 {
		return
	}
	if s.Episode != c.episode {
		c.ignite(s)
	}
	area, core := 2+(c.area-2)*math.Pow(s.Growth, 1.5), c.heat*(0.3+0.7*math.Pow(s.Growth, 0.7))
	seen := min(8*s.Growth, 1) * (1 - s.Cover)
	for n, i := range c.order[:min(int((c.reach+1)*area)+12, len(c.order))] {
		rank := float64(n) / area
		dry := float32(1 + (c.scorch-1)*seen*smooth((c.reach+1-rank)/c.reach))
		if max(dry, 1/dry) > max(c.scar[i], 1/c.scar[i]) {
			c.scar[i] = dry // and stays so
		}
		// Crust or spray hides it in flakes.
		if s.Cover > 0.99 || s.Cover > 0.02 && c.grains.at(3*float64(i%wide), 3*float64(i/wide)) < s.Cover {
			continue
		}
		hot := core * (1 - c.drop*min(rank, 1)) * math.Exp(-c.rim*max(rank-1, 0)) * (1 - 0.5*s.Cover)
		c.temperature[i] = max(c.temperature[i], float32(hot))
		x, y := i%wide-corner%wide, i/wide-corner/wide
		if mask != nil && rank < 1 && c.crust[i] > unseen && x >= 0 && x < side && y >= 0 && y < side {
			mask[y*side+x] = 1
		}
	}
}

// cinder lets an ember glow, as hot as a young spot.
func (c *camera) cinder(v house.View) {
	if v.Ember > 0 && c.ember == 0 {
		c.kindle = between(c.r, 0.4, 0.95)
	}
	if c.ember = v.Ember; v.Ember <= 0 {
		return
	}
	size := 0.8 + 2.5*c.kindle*v.Ember
	for i := range c.temperature {
		x, y := float64(i%wide)-v.EmberX*side-margin, float64(i/wide)-v.EmberY*side-margin
		if x*x+y*y < 36 {
			d := math.Hypot(x, y) + 2*c.grains.at(3*float64(i%wide), 3*float64(i/wide)) - 1
			hot := c.kindle * math.Sqrt(v.Ember) * (1 - 0.3*d/size) * math.Exp(-2*max(d-size, 0))
			c.temperature[i] = max(c.temperature[i], float32(hot))
		}
	}
}

// glowing is the light of a surface: dull red, orange, yellow, white, held back and cooled
// where crust is thick.
func (c *camera) glowing(temperature, crust float32) rgb {
	t := temperature * (0.7 + 0.3*crust)
	p := 2 * float32(c.power) * t * t * crust
	return rgb{p, p * 0.7 * t * min(1.15*t, 1), p * 0.6 * t * t * t * t}
}
