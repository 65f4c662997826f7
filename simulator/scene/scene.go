// Package scene draws what the camera sees of the furnace.
//
// The picture is a grid of cells; the crop that the model looks at is 64 × 64
// of them, the whole picture 160 × 90. Everything that moves (light, flame,
// mist, workers, the hot spot) is computed a cell; the shell's fine texture
// never changes and is laid over the cells when the whole picture is drawn. The
// crop is therefore exactly what area-resizing the whole picture's CropRect
// gives, but for rounding and the fine sensor noise, at a hundredth of the cost.
//
// Light is linear up to the camera: radiance = plate × light + glow, one value
// a channel, 1 = a white patch in full light. The camera's gain and tone curve
// then make bytes of it.
//
// A Scene belongs to one batch and one goroutine. A picture depends on the batch
// and the furnace.State alone: drawing the same state twice gives the same bytes.
package scene

import (
	"image"

	"meltwatch/simulator/furnace"
)

// Side is the crop's width and height in cells, which are its pixels.
const Side = 64

// The whole picture in pixels, and the pixels of a cell.
const (
	Width, Height = 1280, 720
	cellPixels    = 8
)

// CropRect is where the crop lies in the whole picture.
var CropRect = image.Rect(384, 176, 384+Side*cellPixels, 176+Side*cellPixels)

// area is a rectangle of cells; cell (0, 0) is the crop's top left one.
type area struct{ x, y, w, h int }

var (
	cropArea = area{0, 0, Side, Side}
	fullArea = area{-384 / cellPixels, -176 / cellPixels, Width / cellPixels, Height / cellPixels}
)

// Scene draws the pictures of one batch.
type Scene struct {
	batch furnace.Batch
	shell shell
	crop  *canvas
	full  *overlay // made when the whole picture is first asked for
	mist  *smoke
	tone  *toneCurve
	grain *grain
	spot  *spotField
}

// New prepares the scene of a batch; it takes some milliseconds.
func New(b furnace.Batch) *Scene {
	s := &Scene{batch: b, shell: newShell(b), mist: newSmoke(b.Seed), tone: newToneCurve(), grain: newGrain(b.Seed)}
	s.crop = newCanvas(cropArea, s.shell, b)
	return s
}

// Crop draws the crop as row-major RGB into pixels, 3 × Side × Side bytes, and
// where the hot spot is visible into mask, Side × Side bytes of 0 or 1. mask may
// be nil.
func (s *Scene) Crop(state furnace.State, pixels, mask []byte) {
	s.compose(s.crop, state)
	s.crop.expose(state, s.tone, pixels)
	s.grain.add(pixels, 3*Side, s.batch.Grain, state.Time)
	if mask != nil {
		s.maskSpot(state.Picture.Spot, mask)
	}
}

// compose works out light and glow of each cell of c.
func (s *Scene) compose(c *canvas, state furnace.State) {
	p := state.Picture
	c.shake(p.ShakeX, p.ShakeY)
	c.illuminate(p, s.batch)
	for _, n := range c.hall { // only the shell glows when overheated
		c.glow[0][n], c.glow[1][n], c.glow[2][n] = 0, 0, 0
	}
	if p.Spot.Shine > 0 {
		c.glowSpot(s.spotOf(p.Spot), p)
	}
	if p.Ember.Shine > 0 {
		c.glowEmber(p)
	}
	if c.area.y < 0 {
		c.flame(p, s.shell, s.mist)
	}
	if p.PasserSeen > 0 {
		c.passer(p)
	}
	if p.Mist > 0.01 || p.Dust > 0.01 {
		c.veil(p, s.mist)
	}
	if p.Sparks > 0 {
		c.sparks(p, state.Time, s.batch.Seed)
	}
	c.dirty()
}
