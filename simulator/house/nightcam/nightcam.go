// Package nightcam is a house seen by a cheap surveillance camera whose infrared-cut
// filter is out, as such cameras switch at low light or in smoke: nearly one grey value,
// lit by the camera's own near-infrared diodes and by whatever is hot.
//
// Hot things follow Planck's law in the band 700–1000 nm, in which a place shows well
// before the eye sees red, and is soon as white as the sensor can tell. The diodes light
// the middle of the picture, and every speck of dust or drop of mist near the lens throws
// their light back. Soot and wet places are dark, lime, refractory and paint bright. Some
// melts are seen by the same camera by day: filter in and weak colours under a door's
// daylight, or filter stuck open and all colours washed out.
//
// Light is counted in units of what a white surface returns in the middle of the diodes'
// beam. Lengths are shares of the crop's side, times seconds, temperatures kelvin. A
// Camera keeps state between calls and is for one goroutine.
package nightcam

import (
	"math"
	"math/rand/v2"

	"meltwatch/simulator/house"
)

// The scene is drawn wider than the crop, so that the shaking mount never shows its edge.
const (
	margin = 4
	wide   = house.Side + 2*margin
	area   = wide * wide
)

// Camera is the picture of one melt.
type Camera struct {
	traits

	dice   dice // what differs between frames
	seed   uint64
	grain  grain
	shell  *shell
	glow   *radiance
	bands  int // 1 for a grey picture, 3 for a coloured one
	marks  []mark
	spot   spot
	sensor sensor
	codec  codec

	light    [3][]float64 // what reaches the lens, a band
	spotGlow []float64    // the spot's part of the first band, and where it may be marked
	inSpot   []bool
	clear    []float64 // share of the scene's light that the air and passers let through

	started           bool
	time, dt          float64
	flame, dust, door float64 // the flame's size, dust in the air, daylight through the door
	doorWanted        float64
	doorUntil         float64
	shakeX, shakeY    float64 // pixels
	fieldX            float64 // the same in the field before
}

// New makes the camera of a melt.
func New(s house.Setting) house.Camera {
	d := dice{rand.New(rand.NewPCG(s.Seed, 0x6e69676874))}
	c := &Camera{traits: draw(d), seed: s.Seed, grain: newGrain(d), bands: 1}
	if c.mode != night {
		c.bands = 3
	}
	c.glow = newRadiance(c.mode, c.reference)
	c.shell = newShell(d, c.grain, c.traits)
	c.marks = newMarks(d, c.grain, c.shell, c.mode)
	for b := range c.bands {
		c.light[b] = make([]float64, area)
	}
	c.spotGlow, c.clear, c.inSpot = make([]float64, area), make([]float64, area), make([]bool, area)
	c.sensor, c.codec = newSensor(d, c.traits), newCodec(d)
	c.dice = dice{rand.New(rand.NewPCG(s.Seed, 0x6672616d65))}
	return c
}

// Crop draws the crop as row-major RGB and marks the spot's visible pixels.
func (c *Camera) Crop(v house.View, pixels, mask []byte) {
	c.advance(v)
	c.lightShell(v)
	c.drawMarks(v)
	c.drawEmber(v)
	c.drawSpot(v)
	c.drawFlame(v)
	c.drawPasser(v)
	c.drawAir(v)
	c.drawSpecks(v)
	c.expose(v, pixels, mask)
	c.codec.pass(pixels, c.bands)
	c.tint(pixels)
}

// advance moves what changes slowly: the flame behind the current, dust, daylight, the
// mount.
func (c *Camera) advance(v house.View) {
	c.dt = max(v.Time-c.time, 0.01)
	flame := v.Light * math.Pow(max(v.Turbulence, 0), 0.8)
	if v.Exhaust {
		flame *= c.exhaustGrowth
	}
	dust, settle := c.dustAlways, 12.0
	if v.Feeding {
		dust, settle = 1, 3
	}
	if !c.started {
		c.dt, c.flame, c.dust = 0.04, flame, dust
		c.door = c.dice.between(0, 1)
		c.doorWanted, c.doorUntil = c.door, v.Time
		c.started = true
	}
	c.time = v.Time
	c.flame += (flame - c.flame) * follow(c.dt, c.flameLag)
	c.dust += (dust - c.dust) * follow(c.dt, settle)
	if v.Time >= c.doorUntil {
		c.doorWanted = c.dice.between(0, 1)
		if c.dice.chance(0.5) {
			c.doorWanted = math.Round(c.doorWanted)
		}
		c.doorUntil = v.Time + c.dice.ExpFloat64()*c.doorPeriod
	}
	c.door += (c.doorWanted - c.door) * follow(c.dt, c.doorSpeed)
	c.fieldX = c.shakeX
	step := math.Sqrt(follow(c.dt, 0.15))
	c.shakeX += -c.shakeX*step*step + c.dice.NormFloat64()*step*c.shake
	c.shakeY += -c.shakeY*step*step + c.dice.NormFloat64()*step*c.shake*0.7
	c.shakeX, c.shakeY = clip(c.shakeX, -2, 2), clip(c.shakeY, -2, 2)
}

// lightShell lights everything that does not move, and makes it glow when overheated.
func (c *Camera) lightShell(v house.View) {
	s := c.shell
	fire := c.flame * c.flameLight * (1 + 0.15*c.dice.NormFloat64())
	working := 0.3 + 0.7*v.Light
	glitter, drift := c.time*c.filmSpeed, c.time*0.013
	for i := range area {
		x, y := place(i)
		direct := s.beam[i]
		around := c.ambient*working + c.daylight*c.door*s.door[i]
		gleam := s.gleam[i]
		if gleam > 0.01 {
			gleam *= 0.5 + c.grain.at(3*x+drift, 3*y-glitter)
		}
		for b := range c.bands {
			albedo := s.albedo[b][i]
			lit := direct + around + max(fire, 0)*s.fire[i]*fireColour[c.mode][b]
			c.light[b][i] = albedo*lit + gleam*(direct+0.4*around)
		}
		if v.Overheated > 0 && s.on[i] {
			t := c.overheated - 100*(1-min(v.Overheated, 1)) + 50*(s.warm[i]-0.5)
			c.addGlow(i, t, s.emissivity(i)*v.Overheated)
		}
		c.spotGlow[i], c.inSpot[i], c.clear[i] = 0, false, 1
	}
}

// addGlow adds what a pixel at t kelvin sends out.
func (c *Camera) addGlow(i int, t, share float64) {
	e := c.glow.at(t)
	for b := range c.bands {
		c.light[b][i] += share * e[b]
	}
}

// tint gives the grey picture the slight cast of its melt.
func (c *Camera) tint(pixels []byte) {
	if c.bands > 1 {
		return
	}
	for i := 0; i < len(pixels); i += 3 {
		grey := float64(pixels[i])
		for b, share := range c.cast {
			pixels[i+b] = byte(clip(grey*share+0.5, 0, 255))
		}
	}
}
