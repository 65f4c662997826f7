// Package emission is a camera that measures heat as colour. The scene is a map of
// temperature and a map of reflectance: hot surfaces shine by Planck's law through three
// broad sensor bands (some cameras leak near infrared, so that heat looks violet or
// white), cold ones by the hall's, the arc's, the floor's and the sun's light, each of its
// own colour temperature. Radiance then passes haze, optics, exposure, white balance, a
// tone curve and a starved block codec, in that order, as in a real camera.
//
// Randomness: a melt draws shell, lights, temperatures, things in front and behind, and
// the camera; an episode its spot; a frame only noise, sparks and flicker.
//
// Units: seconds, kelvins, pixels; radiance 1 is the mean of the lit shell, and a
// blackbody of the scene's reference temperature has it in red. Planes hold RGB triples,
// row by row.
package emission

import (
	"math"
	"math/rand/v2"

	"meltwatch/simulator/house"
)

const (
	stream = 0x656d_6974 // the random stream of this family
	side   = house.Side
	area   = side * side

	dustTime    = 4.0  // seconds that dust rises and settles
	sunTime     = 90.0 // seconds in which a patch of daylight comes and goes
	transparent = 0.4  // least share of the light that haze must let through to see
	hidden      = 0.6  // cover at which a spot counts as unseen
	noticed     = 0.15 // least relative change of radiance that counts as seen
	brightest   = 60.0 // radiance above which nothing more is told apart
)

type plane [3 * area]float32

type camera struct {
	rng       *rand.Rand
	scene     *scene
	lens      lens
	sensor    sensor
	codec     *codec
	spot      burn
	ember     burn
	time      float64
	started   bool
	flare     float64 // turbulence as the flame follows it
	flareTime float64 // seconds
	dust, sun float64
	sunLevel  float64 // usual share of the sun's full strength
	gait      float64 // height of a passer, share of the crop
	frame     plane
	through   [area]float32 // light that haze and passers let through
}

// New draws one melt's scene and camera.
func New(s house.Setting) house.Camera {
	rng := rand.New(rand.NewPCG(s.Seed, stream))
	c := &camera{rng: rng, scene: build(rng), flare: 1}
	c.lens = newLens(rng)
	c.sensor = newSensor(rng, c.scene)
	c.codec = newCodec(rng)
	c.flareTime = between(rng, 0.2, 1)
	c.sunLevel = between(rng, 0.1, 0.9)
	c.gait = between(rng, 0.35, 1.3)
	return c
}

func (c *camera) Crop(v house.View, pixels, mask []byte) {
	dt := v.Time - c.time
	if !c.started {
		dt = 0.04
	}
	c.time = v.Time
	c.flare += (v.Turbulence*(1+0.15*c.rng.NormFloat64()) - c.flare) * (1 - math.Exp(-dt/c.flareTime))
	c.dust += (truth(v.Feeding) - c.dust) * (1 - math.Exp(-dt/dustTime))
	keep := math.Exp(-dt / sunTime)
	c.sun = keep*c.sun + math.Sqrt(1-keep*keep)*c.rng.NormFloat64()

	hall, arc := c.light(v)
	c.heat(v)
	c.flame(v)
	for i := range c.through {
		c.through[i] = 1
	}
	if c.dust > 0.02 {
		c.haze(0.55*c.dust, 0.5*(hall+arc), [3]float64{1, 0.8, 0.6}, 3, 2)
	}
	if v.Mist > 0 {
		c.haze(v.Mist, 0.9*(hall+arc), [3]float64{1, 1, 1}, 9, -14)
	}
	c.sparks(v.Sparks)
	if v.Passes {
		c.passer(v.Passer, hall+0.3*arc)
	}
	c.lens.blur(&c.frame, c.rng)
	if !c.started {
		c.sensor.settle(c.lens.mean)
		c.started = true
	}
	c.sensor.adapt(dt, v.Exposure, c.lens.mean, c.rng)
	c.sensor.read(&c.frame, c.rng)
	c.codec.pass(&c.frame, dt, pixels)
	c.mark(v, mask)
}

// light fills the frame with what surfaces return, and tells the hall's and arc's level.
func (c *camera) light(v house.View) (hall, arc float64) {
	s := c.scene
	arc = v.Light * (0.45 + 0.55*min(c.flare, 2.5)) * s.strength[arcLight]
	hall = s.strength[hallLight]
	level := [lights]float32{
		arcLight:   float32(arc),
		floorLight: float32(s.strength[floorLight] * (0.1 + 0.9*v.Light)),
		sunLight:   float32(s.strength[sunLight] * max(0, c.sunLevel+0.45*c.sun)),
	}
	l, a, b, d := &s.steady, &s.light[arcLight], &s.light[floorLight], &s.light[sunLight]
	for i := range c.frame {
		c.frame[i] = l[i] + level[arcLight]*a[i] + level[floorLight]*b[i] + level[sunLight]*d[i]
	}
	return hall, arc
}

// heat adds what an overheated shell, a cinder and the spot emit.
func (c *camera) heat(v house.View) {
	s := c.scene
	if v.Overheated > 0 {
		for p, t := range s.kelvin {
			if s.shell[p] && !s.front[p] {
				e, old := s.planck.at(t+float32(v.Overheated)*max(s.overheated-t, 0)), s.planck.at(t)
				for k := range e {
					c.frame[3*p+k] += e[k] - old[k]
				}
			}
		}
	}
	if v.Ember > 0 {
		key := math.Float64bits(v.EmberX) ^ math.Float64bits(v.EmberY)<<7 | 1
		if key != c.ember.key {
			rng := rand.New(rand.NewPCG(key, stream^s.seed))
			c.ember = s.burn(rng, key, s.nearest(v.EmberX, v.EmberY), between(rng, 5, 60))
		}
		c.ember.shine(s, &c.frame, v.Ember, 0)
	}
	if v.Spot.Episode > 0 && v.Spot.Growth > 0 {
		if key := v.Spot.Seed<<8 ^ uint64(v.Spot.Episode) | 1<<63; key != c.spot.key {
			rng := rand.New(rand.NewPCG(key, stream^s.seed))
			c.spot = s.burn(rng, key, s.room[rng.IntN(len(s.room))], area*between(rng, 0.015, 0.05))
		}
		c.spot.shine(s, &c.frame, v.Spot.Growth, v.Spot.Cover)
	}
}

// flame adds burning gas over the mouth: thin, so that it adds light and hides nothing.
func (c *camera) flame(v house.View) {
	s := c.scene
	height := (0.06 + 0.13*c.flare) * v.Light
	if v.Exhaust {
		height *= 1.8
	}
	if height < 0.01 {
		return
	}
	e := s.planck.at(s.flameKelvin)
	for _, p := range s.mouth {
		a, b := float64(s.across[p]), float64(s.above[p])
		x, y := float64(p%side), float64(p/side)
		thick := 0.9 - b/height - a*a + 0.55*s.grain.at(2.5*x, 1.6*y+70*c.time)
		if b > 0 && thick > 0 {
			for k := range 3 {
				c.frame[3*int(p)+k] += float32(min(thick, 1)) * min(e[k], brightest/3)
			}
		}
	}
}

// haze lays a moving veil over the frame: it takes light and scatters the lamps' own.
func (c *camera) haze(density, level float64, tint [3]float64, across, up float64) {
	var air [3]float32
	for k := range air {
		air[k] = float32(level * tint[k] * c.scene.white[k])
	}
	x0, y0 := int(across*c.time), int(up*c.time)
	x1, y1 := int(-0.6*across*c.time), int(1.7*up*c.time)
	for p := range area {
		x, y := p%side, p/side
		n := c.scene.cloud.cell(x-x0, y-y0) + c.scene.cloud.cell(y-y1+40, x-x1)
		a := min(max(float32(density)*(0.55+0.3*n), 0), 0.97)
		c.through[p] *= 1 - a
		for k := range air {
			i := 3*p + k
			c.frame[i] += a * (air[k] - c.frame[i])
		}
	}
}

// sparks are short falling streaks of burning drops.
func (c *camera) sparks(shower float64) {
	for range int(shower * between(c.rng, 4, 26)) {
		x, y := c.rng.Float64()*side, c.rng.Float64()*side
		dx, dy := between(c.rng, -0.9, 0.9), between(c.rng, -0.3, 1)
		e := c.scene.planck.at(c.scene.reference + float32(between(c.rng, 100, 600)))
		for range 1 + c.rng.IntN(5) {
			if x >= 0 && x < side && y >= 0 && y < side {
				for k := range e {
					c.frame[3*(int(y)*side+int(x))+k] += 0.5 * min(e[k], brightest)
				}
			}
			x, y = x+dx, y+dy
		}
	}
}

// passer stands before everything: boots to helmet, in work clothes with a bright band.
func (c *camera) passer(place, level float64) {
	tall := c.gait * side
	stride := math.Abs(math.Sin(5 * c.time))
	middle, top := place*side, side*0.95-tall+1.5*stride
	for p := range area {
		x, y := float64(p%side)-middle, (float64(p/side)-top)/tall
		wide := 0.14 // share of the height: shoulders and arms
		switch {
		case y < 0 || y > 1.2:
			continue
		case y < 0.14: // the head
			wide = 0.06
		case y > 0.55: // the legs, which stride
			wide = 0.08 + 0.04*stride
			if math.Abs(x) < (y-0.55)*0.2*stride*tall {
				continue
			}
		}
		if math.Abs(x) > wide*tall {
			continue
		}
		shade := float32(level * (0.16 + 0.1*x/(wide*tall)))
		if y < 0.09 || y > 0.33 && y < 0.38 {
			shade *= 4
		}
		c.through[p] = 0
		for k := range 3 {
			c.frame[3*p+k] = shade * float32(c.scene.white[k]*c.scene.clothes[k])
		}
	}
}

// mark writes where the spot can be seen: nothing before it, a radiance that it changes,
// and a surrounding that has not clipped with it.
func (c *camera) mark(v house.View, mask []byte) {
	if mask == nil {
		return
	}
	clear(mask)
	if v.Spot.Episode == 0 || v.Spot.Growth <= 0 || v.Spot.Cover >= hidden {
		return
	}
	limit := c.sensor.blind()
	for _, m := range c.spot.changed {
		if c.through[m.pixel] > transparent && m.before < limit {
			mask[m.pixel] = 1
		}
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func between(rng *rand.Rand, low, high float64) float64 { return low + (high-low)*rng.Float64() }
