// Package spray is a family of pictures from heat conduction: a furnace shell that a
// running film of water cools. A heat source behind the shell first dries the film, then
// makes the metal glow.
package spray

import (
	"math"
	"math/rand/v2"

	"meltwatch/simulator/house"
)

// side is the crop's side in pixels, cells that of the grids of heat, water and steam.
const (
	side  = house.Side
	cells = side / 2
)

// plane is a value for each pixel, grid one for each cell, picture a colour for each pixel.
type (
	plane   [side * side]float32
	grid    [cells * cells]float32
	rgb     [3]float32
	picture [side * side]rgb
)

// camera is the picture of one melt.
type camera struct {
	random *rand.Rand
	shell  shell
	sheet  sheet
	source source
	air    air
	light  light
	things things
	sensor sensor
	last   float64
	begun  bool

	// What one crop needs, kept between crops so that it need not be allocated.
	image              picture
	temperature, water plane
	heated             plane // how far the source has dried the film
	steam              plane
}

// New makes the picture of one melt.
func New(s house.Setting) house.Camera {
	random := rand.New(rand.NewPCG(s.Seed, 0x73707261))
	c := &camera{random: random}
	c.light = newLight(random)
	c.shell = newShell(random, c.light)
	c.sheet = newSheet(random, c.shell.film)
	c.air = newAir(random)
	c.things = newThings(random)
	c.sensor = newSensor(random)
	return c
}

// settling is how long the shell has run before the first crop, in seconds.
const settling = 20

// Crop draws the crop.
func (c *camera) Crop(v house.View, pixels, mask []byte) {
	seconds := v.Time - c.last
	if !c.begun {
		c.begun = true
		c.step(house.View{Light: v.Light, Turbulence: 1}, settling)
		seconds = 0.04
	}
	c.last = v.Time
	c.step(v, min(max(seconds, 0.01), 10))
	c.paintWall(v)
	c.things.paintEmber(&c.image, v)
	c.sensor.flare(&c.image)
	c.paintAir(v)
	c.things.paintSparks(&c.image, v, c.random)
	body := c.things.paintPasser(&c.image, v, &c.light)
	c.sensor.develop(c.random, &c.image, v.Exposure, seconds, pixels)
	if mask != nil {
		c.paintMask(v, body, mask)
	}
}

// step lets the shell, its water and the air above it run on.
func (c *camera) step(v house.View, seconds float64) {
	c.source.follow(v.Spot)
	c.light.advance(c.random, v, seconds)
	c.sheet.advance(&c.source, v, float32(seconds))
	c.air.advance(c.random, v, &c.sheet, float32(seconds))
	upsample(&c.sheet.temperature, &c.temperature)
	upsample(&c.sheet.film, &c.water)
	upsample(&c.sheet.dried, &c.heated)
	for i, h := range c.heated {
		if h > 0 && h < 1 { // the film breaks along the roughness of the scale
			c.heated[i] = clamp(h + 1.6*min(h, 1-h)*(1-2*c.shell.oxide[i]))
		}
	}
	upsample(&c.air.steam, &c.steam)
}

// paintMask marks where the spot can be seen: the source has dried the film or the metal
// glows, and neither crust, steam nor a worker is in front.
func (c *camera) paintMask(v house.View, body *plane, mask []byte) {
	for i := range mask[:side*side] {
		mask[i] = 0
		if v.Spot.Episode == 0 || c.shell.crust(i, v.Spot.Cover) > 0.5 || body != nil && body[i] > 0.5 {
			continue
		}
		clear := 1 - c.air.opacity(i, c.steam[i])
		if clear > 0.25 && (c.heated[i] > 0.3 || c.temperature[i] > 580) {
			mask[i] = 1
		}
	}
}

// upsample doubles a grid's resolution by linear interpolation.
func upsample(from *grid, to *plane) {
	for y := range side {
		// A pixel's centre lies a quarter of a cell from the centre of its cell.
		near := y / 2
		far := min(max(near+2*(y%2)-1, 0), cells-1)
		a, b := from[near*cells:near*cells+cells], from[far*cells:far*cells+cells]
		var mixed [cells]float32
		for x := range mixed {
			mixed[x] = 0.75*a[x] + 0.25*b[x]
		}
		row := to[y*side : y*side+side]
		left := mixed[0]
		for x, m := range mixed[:cells-1] {
			right := mixed[x+1]
			row[2*x], row[2*x+1] = 0.75*m+0.25*left, 0.75*m+0.25*right
			left = m
		}
		last := mixed[cells-1]
		row[side-2], row[side-1] = 0.75*last+0.25*left, last
	}
}

// texture is smooth noise of 0–1 that repeats at the crop's edges, with cells of the
// given number of pixels, which divide the side.
func texture(r *rand.Rand, wide, high int) plane {
	var p plane
	columns, rows := side/wide, side/high
	values := make([]float32, columns*rows)
	for i := range values {
		values[i] = r.Float32()
	}
	for y := range side {
		fy := float32(y%high) / float32(high)
		fy = fy * fy * (3 - 2*fy)
		top, bottom := y/high*columns, (y/high+1)%rows*columns
		for x := range side {
			fx := float32(x%wide) / float32(wide)
			fx = fx * fx * (3 - 2*fx)
			l, n := x/wide, (x/wide+1)%columns
			a := values[top+l]*(1-fx) + values[top+n]*fx
			b := values[bottom+l]*(1-fx) + values[bottom+n]*fx
			p[y*side+x] = a*(1-fy) + b*fy
		}
	}
	return p
}

// layered is a sum of textures of several sizes, 0–1 with a mean of a half.
func layered(r *rand.Rand, sizes ...[2]int) plane {
	var p plane
	weight, total := float32(1), float32(0)
	for _, s := range sizes {
		for i, v := range texture(r, s[0], s[1]) {
			p[i] += weight * v
		}
		total += weight
		weight *= 0.6
	}
	for i := range p {
		p[i] /= total
	}
	return p
}

func uniform(r *rand.Rand, low, high float32) float32 { return low + (high-low)*r.Float32() }

// clamp limits x to 0–1. The comparisons are faster than min and max, which mind NaN.
func clamp(x float32) float32 {
	switch {
	case x > 1:
		return 1
	case x > 0:
		return x
	}
	return 0
}

func exp(x float32) float32 { return float32(math.Exp(float64(x))) }
