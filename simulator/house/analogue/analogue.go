// Package analogue is a family of pictures: an old analogue colour camera, composite PAL
// video, a long coaxial cable and a frame grabber, looking through a dirty window at the
// steel shell of a furnace in a dark hall.
//
// Principle: radiance first, then the signal path. The scene is kept in luminance-like
// units (cd/m² per colour channel), so that a lit wall, a flame and a wall at 1,100 K
// stand in the relation that physics gives them: lamps and flame fall on a painted shell,
// and hot steel adds what Planck's law says. Window, lens, CCD, automatic iris, gamma,
// PAL coder, cable, PAL decoder and grabber then each do to it what such a part does.
// Nothing is drawn in grey levels.
package analogue

import (
	"math/rand/v2"

	"meltwatch/simulator/house"
)

const (
	side = house.Side
	area = side * side
)

// colour is a radiance, a share or a gain for red, green and blue.
type colour [3]float32

func (c colour) luma() float32 { return 0.299*c[0] + 0.587*c[1] + 0.114*c[2] }

func (c colour) times(f float32) colour { return colour{c[0] * f, c[1] * f, c[2] * f} }

// camera is one melt: its scene, its signal path, and what both remember between frames.
type camera struct {
	traits
	shell
	window
	glow   [temperatures]colour // cd/m² of a black body
	random dice
	last   view
	lights lights
	spot   hotSpot
	iris   iris
	air    air
	signal composite
	blocks blocks

	light   [area]colour  // radiance at the lens, then charge on the CCD; 1 is white
	through [area]float32 // share of the shell's light that reaches the lens
}

// view is what the camera must know of the frame before.
type view struct {
	begun        bool
	time, passer float64 // s; share of the crop's width
}

// New returns the camera of one melt.
func New(s house.Setting) house.Camera {
	c := &camera{}
	c.random = dice{rand.New(rand.NewPCG(s.Seed, 0x9a1c0de5))}
	c.draw(c.random)
	c.heat()
	c.shell.build(c.random, &c.traits)
	c.window.build(c.random, &c.traits)
	c.air.build(c.random)
	c.lights.build(c.random)
	c.signal.build(c.random, &c.traits)
	c.blocks.build(c.traits.blockStep)
	c.calibrate()
	return c
}

// Crop draws one frame.
func (c *camera) Crop(v house.View, pixels, mask []byte) {
	step := v.Time - c.last.time
	if !c.last.begun {
		step = 0
	}
	c.lights.advance(c.random, &c.traits, v, step, !c.last.begun)
	c.illuminate(v)
	edge := c.addSpot(v)
	c.addEmber(v)
	c.addFlame()
	c.addDust(v)
	c.addMist(v)
	c.addPasser(v, step)
	c.addSparks(v)
	meter := c.soften()
	c.iris.advance(&c.traits, c.lit, c.lights.flame, meter, v, step, !c.last.begun)
	c.markSpot(edge, mask)
	c.expose()
	dx, dy := c.vibration()
	c.transmit(v.Time, dx, dy)
	c.grab(pixels)
	shift(mask, int(dx), dy)
	c.last = view{begun: true, time: v.Time, passer: v.Passer}
}

// vibration is how far the bracket's shaking moves the picture, in whole pixels.
func (c *camera) vibration() (dx float32, dy int) {
	if c.random.chance(c.shaking) {
		dx = float32(c.random.IntN(3) - 1)
	}
	if c.random.chance(c.shaking) {
		dy = c.random.IntN(3) - 1
	}
	return dx, dy
}

// clamp keeps a place inside the crop.
func clamp(i int) int { return max(0, min(side-1, i)) }
