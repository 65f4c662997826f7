// Package relief is a picture of a shell whose shape is computed before its colours.
//
// The shell is a field of heights over the crop: a curved plate with ribs, bolted flanges,
// cooling pipes, patches, weld beads and dents. The camera looks at it at an angle, so that
// what stands out hides what lies behind. Each source of light (daylight, lamps, the flame
// at the mouth, the glow from the floor) casts its own shadows on the relief and has its
// own gloss; light adds up, so a frame is a weighted sum of the sources. Hot metal radiates
// by Planck's law. An HDR security camera with a rolling shutter, a temporal noise filter,
// local tone mapping, automatic white balance, sharpening and block compression sees it.
package relief

import (
	"math/rand/v2"

	"meltwatch/simulator/house"
)

const (
	side   = house.Side
	pixels = side * side
)

// rgb is linear light or a reflectance.
type rgb [3]float32

func (c rgb) times(s float32) rgb { return rgb{c[0] * s, c[1] * s, c[2] * s} }

func (c rgb) by(d rgb) rgb { return rgb{c[0] * d[0], c[1] * d[1], c[2] * d[2]} }

func (c rgb) plus(d rgb) rgb { return rgb{c[0] + d[0], c[1] + d[1], c[2] + d[2]} }

func (c rgb) luminance() float32 { return 0.2126*c[0] + 0.7152*c[1] + 0.0722*c[2] }

// field is one number a pixel, picture is linear light.
type (
	field   [pixels]float32
	picture [pixels]rgb
)

type camera struct {
	random *rand.Rand
	shell  surface // as the camera sees it
	lights lights
	heat   heat
	air    air
	sensor sensor
	coder  coder

	light    picture // of the frame being drawn
	spot     picture // the light of the hot spot, and what it lights
	seen     field   // how much of a pixel the visible hot spot fills
	clear    field   // how much light comes through mist, dust and people
	rendered picture // as displayed, 0–1
}

// New makes the picture of one melt.
func New(s house.Setting) house.Camera {
	r := rand.New(rand.NewPCG(s.Seed, 0x72656c696566))
	c := &camera{random: r}
	g := newGeometry(r)
	c.lights = newLights(r)
	c.shell = g.render(r, &c.lights)
	reference := c.lights.normalise()
	c.heat = newHeat(r, reference)
	c.air = newAir(r, reference, g.rim)
	c.sensor = newSensor(r)
	c.coder = newCoder(r)
	return c
}

// Crop implements house.Camera.
func (c *camera) Crop(v house.View, out, mask []byte) {
	step := c.sensor.advance(v.Time)
	c.lights.add(v, step, &c.light)
	c.heat.add(v, c)
	c.air.add(v, step, c)
	c.sensor.expose(v, c)
	c.coder.write(v.Time, &c.rendered, out)
	if mask == nil {
		return
	}
	for i := range pixels {
		mask[i] = 0
		if c.seen[i] >= 0.5 {
			mask[i] = 1
		}
	}
}
