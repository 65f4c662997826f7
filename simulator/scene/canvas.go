package scene

import (
	"math"

	"meltwatch/simulator/furnace"
)

// margin is how many cells a canvas keeps around its area for the shake.
const margin = 2

// canvas holds the cells of one area: the static plate, and the light and glow
// that one picture needs. Planes are row-major, one a channel.
type canvas struct {
	area  area
	plate [3][]float32 // reflectance, with margin
	wide  int          // cells a row of plate
	dirt  []float32    // share of light that the lens lets through
	hall  []int        // cells beside and above the shell, of the whole picture alone

	moved [3][]float32 // plate at this picture's shake
	light [3][]float32 // what falls on the plate and reaches the lens
	glow  [3][]float32 // what is added to it
	mx    int          // whole and fractional shake
	my    int
	fx    float32
	fy    float32
	row   []float32
	col   []float32
}

func newCanvas(a area, s shell, b furnace.Batch) *canvas {
	c := &canvas{area: a, wide: a.w + 2*margin}
	cells := a.w * a.h
	for i := range 3 {
		c.plate[i] = make([]float32, c.wide*(a.h+2*margin))
		c.moved[i], c.light[i], c.glow[i] = make([]float32, cells), make([]float32, cells), make([]float32, cells)
	}
	c.row, c.col = make([]float32, a.h), make([]float32, a.w)
	c.paint(s)
	c.soil(b)
	return c
}

// paint averages the shell's reflectance over each cell.
func (c *canvas) paint(s shell) {
	const taps = 3
	for y := range c.area.h + 2*margin {
		for x := range c.wide {
			var sum [3]float64
			for t := range taps * taps {
				cx := float64(c.area.x-margin+x) + (float64(t%taps)+0.5)/taps
				cy := float64(c.area.y-margin+y) + (float64(t/taps)+0.5)/taps
				r := s.reflectance(cx/Side, cy/Side)
				for i := range sum {
					sum[i] += r[i] / (taps * taps)
				}
			}
			for i := range sum {
				c.plate[i][y*c.wide+x] = float32(sum[i])
			}
		}
	}
}

// soil works out what the dirt on the lens swallows.
func (c *canvas) soil(b furnace.Batch) {
	c.dirt = make([]float32, c.area.w*c.area.h)
	for y := range c.area.h {
		for x := range c.area.w {
			d := cloud(float64(c.area.x+x)/11, float64(c.area.y+y)/11, 2, uint32(b.Seed>>13))
			c.dirt[y*c.area.w+x] = float32(1 - 0.7*b.Dirt*smooth((d-0.5)/0.2))
		}
	}
}

// shake moves the plate by (dx, dy) cells into moved.
func (c *canvas) shake(dx, dy float64) {
	ix, iy := math.Floor(dx), math.Floor(dy)
	c.mx, c.my, c.fx, c.fy = margin+int(ix), margin+int(iy), float32(dx-ix), float32(dy-iy)
	w00, w10 := (1-c.fx)*(1-c.fy), c.fx*(1-c.fy)
	w01, w11 := (1-c.fx)*c.fy, c.fx*c.fy
	for i := range 3 {
		for y := range c.area.h {
			top := c.plate[i][(y+c.my)*c.wide+c.mx:][: c.area.w+1 : c.area.w+1]
			low := c.plate[i][(y+c.my+1)*c.wide+c.mx:][: c.area.w+1 : c.area.w+1]
			out := c.moved[i][y*c.area.w:][:c.area.w]
			for x := range out {
				out[x] = w00*top[x] + w10*top[x+1] + w01*low[x] + w11*low[x+1]
			}
		}
	}
}

// Colours of the hall's lamps and of the flame.
var (
	lamps    = [3]float32{0.40, 0.43, 0.47}
	firelit  = [3]float32{0.85, 0.66, 0.40}
	overheat = [3]float32{0.34, 0.05, 0.015}
)

// illuminate sets light from the hall's lamps and the flame above, and glow
// from an overheated shell.
func (c *canvas) illuminate(p furnace.Picture, b furnace.Batch) {
	flame := float32(p.Flame * p.Light)
	for y := range c.row {
		v := float64(c.area.y+y) / Side
		c.row[y] = float32(1.15 * math.Exp(-1.7*max(v-rim, 0)))
	}
	for x := range c.col {
		u := float64(c.area.x+x) / Side
		c.col[x] = float32(0.72 + 0.56*patches(u*2.5, p.Stir*3, 5))
	}
	red := float32(p.Redness)
	for i := range 3 {
		lamp, fire, heat := lamps[i]*float32(b.Ambient), firelit[i]*flame, overheat[i]*red
		for y := range c.area.h {
			f := fire * c.row[y]
			light, glow := c.light[i][y*c.area.w:][:c.area.w], c.glow[i][y*c.area.w:][:c.area.w]
			for x := range light {
				light[x] = lamp + f*c.col[x]
				glow[x] = heat
			}
		}
	}
}

// dirty lets the lens take its share.
func (c *canvas) dirty() {
	for i := range 3 {
		for n, d := range c.dirt {
			c.light[i][n] *= d
			c.glow[i][n] *= d
		}
	}
}

// expose makes bytes of the canvas, row-major RGB.
func (c *canvas) expose(s furnace.State, t *toneCurve, pixels []byte) {
	for i := range 3 {
		gain := float32(s.Picture.Gain[i])
		moved, light, glow := c.moved[i], c.light[i], c.glow[i]
		for n := range moved {
			pixels[3*n+i] = t.level(gain * (moved[n]*light[n] + glow[n]))
		}
	}
}
