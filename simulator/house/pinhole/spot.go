package pinhole

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"meltwatch/simulator/house"
)

const firstArea, leastArea, mostArea = 0.0005 * pixels, 0.015 * pixels, 0.05 * pixels // of the spot

// patch is a pixel of the shell by its distance from the spot's middle in lobe sizes, the
// brightness of its texture, and the cover from which it is hidden.
type patch struct {
	pixel                  int
	distance, crack, crust float64
}

// spot is the burn-through of one episode.
type spot struct {
	episode                   int
	patches                   []patch // nearest first
	area                      float64 // pixels, fully grown
	peak, first, bend         float64 // radiance fully grown, share of it at first, curve between
	cool, hot, leak           float64 // kelvin; near infrared that all colours of the sensor see
	scorch, soft, reach, pace float64 // darkening around; of the edge; of the glow around; breaths
}

// settle draws the form and place of an episode's spot: a place that the camera sees well,
// and one to three lobes with a ragged outline, all in surface coordinates.
func (s *spot) settle(c *Camera, v house.Spot) {
	r := dice{rand.New(rand.NewPCG(v.Seed, spotStream))}
	*s = spot{
		episode: v.Episode, patches: s.patches[:0], area: leastArea * math.Pow(mostArea/leastArea, r.Float64()),
		peak: math.Exp(r.in(0.35, 2.5)), first: r.in(0.05, 0.5), bend: r.in(0.6, 2), cool: r.in(950, 1250), hot: r.in(1500, 3600),
		leak: max(0, r.in(-0.6, 0.6)), soft: r.in(0.15, 0.8), scorch: max(0, r.in(-0.8, 0.4)), reach: r.in(1.15, 1.7), pace: r.in(0.2, 1.5),
	}
	middle, best := 0, -9.0
	for range 200 {
		x, y := 7+r.IntN(side-14), 7+r.IntN(side-14)
		h, clear := c.hits[y*side+x], 0.0
		for n := range 49 {
			clear += c.bare[(y-6+n/7*2)*side+x-6+n%7*2] / 49
		}
		clear = min(clear, 0.85) + min(h.face.dot(c.world.eye.sub(h.at).unit()), 0.35)
		if h.what == shell && clear > best {
			middle, best = y*side+x, clear
		}
	}
	local := 0.0 // a spot where it is bright must be brighter, or nobody sees it
	for k := range c.light {
		local += c.light[k][middle].luma()
	}
	s.peak *= 0.4 + 0.6*min(local, 3)
	seed, u0, v0 := r.Uint32(), 0.0, 0.0
	for n := range 1 + r.IntN(3) {
		turn, wide, tall := r.in(0, math.Pi), r.in(0.05, 0.16), r.in(0.05, 0.16)
		u, v := c.world.place(c.hits[middle].at)
		for i, h := range c.hits {
			if n == 0 {
				s.patches = append(s.patches, patch{pixel: i, distance: 1e3})
			}
			if p := &s.patches[i]; h.what == shell && c.bare[i] > 0 {
				pu, pv := c.world.place(h.at)
				x, y := pu-u-u0, pv-v-v0
				x, y = (x*math.Cos(turn)+y*math.Sin(turn))/wide, (y*math.Cos(turn)-x*math.Sin(turn))/tall
				p.distance = min(p.distance, (math.Hypot(x, y)+0.3*float64(n))*(0.5+rough(pu*7, pv*7, seed)))
				p.crack, p.crust = 0.6+0.7*noise(pu*25, pv*25, seed+5), rough(pu*8, pv*8, seed+9)
			}
		}
		u0, v0 = 0.13*r.NormFloat64(), 0.13*r.NormFloat64()
	}
	slices.SortFunc(s.patches, func(a, b patch) int { return cmp.Compare(a.distance, b.distance) })
}

// draw adds the spot's light and notes where it can be seen.
func (s *spot) draw(c *Camera, v house.View) {
	grown := min(v.Spot.Growth, 1)
	if v.Spot.Episode == 0 || grown <= 0 {
		return
	}
	if s.episode != v.Spot.Episode {
		s.settle(c, v.Spot)
	}
	area := int(firstArea * math.Pow(s.area/firstArea, grown))
	power := s.peak * (s.first + (1-s.first)*math.Pow(grown, s.bend)) * (1 + 0.06*math.Sin(s.pace*v.Time))
	core := glow(s.cool+(s.hot-s.cool)*grown).mix(vec{1, 0.75, 0.95}, s.leak)
	rim := glow(s.cool+0.4*(s.hot-s.cool)*grown).mix(vec{1, 0.6, 0.8}, s.leak)
	lid := 1.3*v.Spot.Cover - 0.15
	for n, p := range s.patches {
		d := p.distance / s.patches[area].distance
		if d > s.reach || p.distance > 100 {
			break
		}
		open, inside := step(lid-0.1, lid+0.1, p.crust), step(1.05, 1-s.soft, d)
		light := (0.1*step(s.reach, 0.9, d) + 0.35*step(1.1, 0.95, d) + 0.65*inside) * p.crack * c.bare[p.pixel]
		c.linear[p.pixel] = c.linear[p.pixel].scale(1 - s.scorch*open*step(s.reach, 1, d))
		c.emit(p.pixel%side, p.pixel/side, rim.mix(core, inside).scale(power*open*light))
		c.seen[p.pixel] = n < area && open > 0.4
	}
}

// cinder adds a glowing crumb: like a young spot in all but its life.
func (c *Camera) cinder(v house.View) {
	if v.Ember <= 0 {
		return
	}
	x0, y0, key := v.EmberX*side, v.EmberY*side, uint32(v.EmberX*9973)*31+uint32(v.EmberY*9973)
	size, power := 0.9+2.2*math.Pow(lattice(key, 1, 7), 2), v.Ember*math.Exp(2.4*lattice(key, 2, 7)-0.4)
	colour := glow(1000+1500*v.Ember*lattice(key, 3, 7)).mix(vec{1, 0.75, 0.95}, max(0, lattice(key, 4, 7)-0.5))
	for n := range 121 {
		x, y := math.Floor(x0)-5+float64(n%11), math.Floor(y0)-5+float64(n/11)
		d := math.Hypot((x+0.5-x0)*1.2, y+0.5-y0) / size * (0.6 + 0.8*noise(x*0.6, y*0.6, key))
		c.emit(int(x), int(y), colour.scale(power*(0.1*step(1.8, 0.9, d)+step(1.1, 0.3, d))))
	}
}
