// Package pinhole is a family of pictures: a small ray-traced hall.
//
// For each melt a pinhole camera with a pose of its own looks at a slightly conical shell with
// flanges and ribs, before a wall with a band of windows, with perhaps a platform, a deck and
// pipes. New traces one picture for each source of light (daylight, two lamps, the mouth's
// fire, a pit's glow below): Lambert's law, a rough highlight, shadows, air that scatters. A
// frame is their sum by the sources' present power, and then what moves: spot, cinder, flame,
// hook, workers, dust, mist, sparks. A cheap camera develops it.
//
// What is random: hall, surface, light and camera (once a melt), the spot's form (from its own
// seed), noise and flicker. The spot is emission in surface coordinates, so it is foreshortened,
// and hidden by what stands before it.
//
// Units: metres and seconds; radiance in shares of the shell's mean in its usual light.
package pinhole

import (
	"math"
	"math/rand/v2"

	"meltwatch/simulator/house"
)

const (
	stream, spotStream = 0x9147e, 0x5b07 // of the generators
	side, pixels       = house.Side, house.Side * house.Side
	shortest, longest  = 0.04, 5.0 // seconds between frames
	hidden             = 0.6       // share of cover from which the spot cannot be seen
	leanest            = 0.35      // share of the crop that the shell fills, in nearly every melt
)

// dice draws from low to high.
type dice struct{ *rand.Rand }

func (r dice) in(low, high float64) float64 { return low + (high-low)*r.Float64() }

// Camera is the picture of one melt.
type Camera struct {
	r      dice
	world  world
	skin   skin
	from   sources
	light  [layers][pixels]vec // what each source gives alone
	hits   [pixels]hit         // by the pixel's middle
	bare   [pixels]float64     // share of the pixel that is shell
	air    air
	spot   spot
	lens   lens
	last   float64       // seconds; negative before the first frame
	fire   float64       // its power, which follows the turbulence …
	lag    float64       // … by so many seconds
	hum    [2][3]float64 // of the lamps on the mains: depth, radians a row and a second
	dull   vec           // light of an overheated shell
	linear [pixels]vec
	veiled [pixels]float64 // share of the light that what stands before takes away
	seen   [pixels]bool    // where the spot shines
}

// New builds and traces the hall of a melt.
func New(s house.Setting) house.Camera {
	r := dice{rand.New(rand.NewPCG(s.Seed, stream))}
	c := &Camera{r: r, last: -1, lag: r.in(0.2, 1), dull: glow(r.in(1000, 1500)).scale(r.in(0.3, 1.2))}
	for try, full := 0, 0.0; try < 8 && full < leanest; try++ {
		c.world, full = newWorld(r), 0
		for i := range 64 {
			if c.world.trace(c.world.ray(float64(i%8*8+4), float64(i/8*8+4))).what == shell {
				full += 1.0 / 64
			}
		}
	}
	c.skin, c.from = newSkin(r, &c.world), newSources(r, &c.world)
	c.trace()
	c.air, c.lens = newAir(r, c), newLens(r)
	for k := range c.hum { // bands that a rolling shutter lets wander
		c.hum[k] = [3]float64{r.in(0, 0.25) * r.Float64(), r.in(0.03, 0.3), r.in(-9, 9)}
	}
	return c
}

// Crop draws a frame.
func (c *Camera) Crop(v house.View, picture, mask []byte) {
	dt := min(max(v.Time-c.last, shortest), longest)
	if c.last < 0 { // no frame before: as if all had long settled
		dt = math.Inf(1)
	}
	c.last = v.Time
	wanted := v.Light * (0.35 + 0.65*v.Turbulence)
	if v.Exhaust {
		wanted *= 1.7
	}
	c.fire += (wanted - c.fire) * (1 - math.Exp(-dt/c.lag))
	c.veiled, c.seen = [pixels]float64{}, [pixels]bool{}
	c.illuminate(v)
	c.spot.draw(c, v)
	c.cinder(v)
	c.air.draw(c, v, dt)
	c.lens.develop(c.r, &c.linear, picture, v.Exposure, dt)
	for i := range mask {
		mask[i] = 0
		if c.seen[i] && c.veiled[i] < hidden {
			mask[i] = 1
		}
	}
}

// illuminate adds the layers by their sources' power, and the overheated shell's glow.
func (c *Camera) illuminate(v house.View) {
	t, l, dull := v.Time, &c.light, c.dull.scale(v.Overheated)
	lick := max(0.3, 1+0.16*math.Sin(9.1*t+math.Sin(3.7*t))+0.1*math.Sin(23*t)+0.06*c.r.NormFloat64())
	sun, flame := 1+c.air.swing*math.Sin(t/c.air.pace+c.air.pace), c.fire*lick
	below := v.Light * (1 + 0.25*math.Sin(t/7) + 0.1*math.Sin(1.9*t))
	for y := range side {
		a := 1 + c.hum[0][0]*math.Sin(c.hum[0][1]*float64(y)+c.hum[0][2]*t)
		b := 1 + c.hum[1][0]*math.Sin(c.hum[1][1]*float64(y)+c.hum[1][2]*t)
		for i := y * side; i < (y+1)*side; i++ {
			sum := l[day][i].scale(sun).add(l[lampA][i].scale(a)).add(l[lampB][i].scale(b))
			c.linear[i] = sum.add(l[fire][i].scale(flame)).add(l[pit][i].scale(below)).add(dull.scale(c.bare[i]))
		}
	}
}

// emit adds light at a place of the crop, if it is one.
func (c *Camera) emit(x, y int, light vec) {
	if x >= 0 && y >= 0 && x < side && y < side {
		c.linear[y*side+x] = c.linear[y*side+x].add(light)
	}
}

// cover lays light of another colour over a pixel and hides what is behind.
func (c *Camera) cover(i int, light vec, share float64) {
	c.linear[i] = c.linear[i].mix(light, share)
	c.veiled[i] = 1 - (1-c.veiled[i])*(1-share)
}
