package relief

import (
	"math"
	"math/rand/v2"

	"meltwatch/simulator/house"
)

// air is what lies between the shell and the camera: flames above the rim, dust, mist,
// sparks and people.
type air struct {
	seed          uint32
	reference     float32
	rim           float32
	flame         float32
	drift, rising float32
	mist          rgb
	dust          float32 // in the air now
	coat, stripe  rgb
	tall, wide    float32
}

func newAir(r *rand.Rand, reference, rim float32) air {
	a := air{
		seed: r.Uint32(), reference: reference, rim: rim, flame: between(r, 3, 10),
		drift: between(r, -0.35, 0.35), rising: between(r, 0.1, 0.6),
		coat: rgb{between(r, 0.05, 0.5), between(r, 0.1, 0.4), between(r, 0.05, 0.6)}, stripe: rgb{1.6, 1.7, 1.2},
		tall: between(r, -0.4, 0.3), wide: between(r, 0.1, 0.28),
	}
	if r.Float32() < 0.4 {
		a.stripe = a.coat
	}
	warm := between(r, 0, 0.5)
	a.mist = rgb{1 + warm, 1 + warm/3, 1 - warm/3}.times(between(r, 3, 8))
	return a
}

func (a *air) add(v house.View, step float64, c *camera) {
	for i := range c.clear {
		c.clear[i] = 1
	}
	wanted := float32(0)
	if v.Feeding {
		wanted = 1
	}
	a.dust += clamp(float32(step)/6, 0, 1) * (wanted - a.dust)
	if a.rim > 0 && v.Light > 0 {
		a.addFlame(v, c)
	}
	if v.Passes {
		a.addPasser(v, c)
	}
	if a.dust > 0.01 || v.Mist > 0 {
		a.addMist(v, c)
	}
	if v.Sparks > 0 {
		a.addSparks(v, c)
	}
}

func (a *air) addFlame(v house.View, c *camera) {
	height := 0.04 + 0.09*float32(v.Turbulence)
	if v.Exhaust {
		height += 0.15
	}
	t := float32(v.Time)
	for y := range int((a.rim+0.04)*side) + 1 {
		for x := range side {
			i := y*side + x
			if c.shell.thermal[i] > 0.3 {
				continue
			}
			px, py := float32(x)/side, (a.rim - float32(y)/side)
			tongue := height * (0.3 + 1.4*noise(a.seed, 5*px+0.4*t, 2.5*t))
			lit := ramp(1, 0.2, py/tongue+0.5*noise(a.seed+3, 11*px, 9*py+4*t)-0.2)
			c.light[i] = c.light[i].plus(rgb{1.5, 0.8, 0.25}.times(lit * a.flame * a.reference * float32(v.Light) * 2))
		}
	}
}

// block puts something of a share and a colour in front of pixel i.
func (c *camera) block(i int, share float32, colour rgb) {
	c.light[i] = c.light[i].times(1 - share).plus(colour.times(share))
	c.clear[i] *= 1 - share
}

func (a *air) addMist(v house.View, c *camera) {
	t := float32(v.Time)
	ambient := a.reference * (0.7 + 0.3*float32(v.Light))
	for y := range side {
		for x := range side {
			px, py := float32(x)/side, float32(y)/side
			i := y*side + x
			if v.Mist > 0 {
				n := fractal(a.seed+5, 2.6*px-a.drift*t, 2.6*py+a.rising*t, 3)
				depth := 3 * float32(v.Mist) * ramp(0.6-0.4*float32(v.Mist), 1.05-0.2*float32(v.Mist), n)
				c.block(i, 1-exp(-depth), a.mist.times(ambient))
			}
			if a.dust > 0.01 {
				n := noise(a.seed+6, 3*px+0.2*t, 3*py-0.4*t)
				depth := a.dust * clamp(0.8-0.6*py, 0, 1) * (0.3 + 0.7*n)
				c.block(i, 1-exp(-depth), rgb{1.05, 0.98, 0.85}.times(0.9*ambient))
			}
		}
	}
}

// addPasser draws a worker: helmet, coat with a reflecting stripe, legs in step.
func (a *air) addPasser(v house.View, c *camera) {
	stride := 0.5 * sin(v.Time*6)
	for y := range side {
		// s is 0 at the top of the helmet and 1 at the feet.
		s := ((float32(y)+0.5)/side - a.tall) / (a.wide * 4.2)
		if s < 0 {
			continue
		}
		for x := range side {
			px := ((float32(x)+0.5)/side - float32(v.Passer)) / a.wide
			edge, colour := a.body(px, s, stride)
			if edge > 0 {
				c.block(y*side+x, clamp(14*edge*a.wide*4, 0, 1), colour.times(1.2*a.reference*(0.7+0.3*float32(y)/side)))
			}
		}
	}
}

// body is how far inside the figure a place is, negative outside, and its reflectance.
func (a *air) body(x, s, stride float32) (edge float32, colour rgb) {
	switch {
	case s < 0.16:
		y := (s - 0.08) * 4.2
		return 0.3 - sqrt(x*x+y*y), rgb{0.55, 0.46, 0.1}
	case s < 0.56:
		colour = a.coat.times(1 - 0.3*abs(x))
		if s > 0.36 && s < 0.4 {
			colour = a.stripe
		}
		arm := 0.12 * abs(stride) * ramp(0.2, 0.5, s)
		return 0.25 + 0.3*ramp(0.15, 0.22, s) + arm - abs(x), colour
	}
	apart := 0.2 + abs(stride)*(s-0.5)*1.8
	return 0.23 - min(abs(x-apart), abs(x+apart)), a.coat.times(0.5)
}

// addSparks draws a shower: streaks as long as the exposure lasts.
func (a *air) addSparks(v house.View, c *camera) {
	r := c.random
	from := 1.4*noise(a.seed+8, float32(v.Time)/3, 0) - 0.2
	for range int(22*v.Sparks + r.Float64()) {
		x, y := from+0.22*float32(r.NormFloat64()), r.Float32()
		along, across := math.Sincos(math.Pi/2 + 0.6*r.NormFloat64())
		length := 0.005 + 0.05*r.Float32()*r.Float32()
		bright := a.reference * (0.5 + 14*r.Float32()*r.Float32())
		colour := rgb{1, between(r, 0.4, 0.8), between(r, 0.1, 0.4)}.times(bright)
		steps := int(length*side*2) + 1
		for k := range steps {
			t := length * float32(k) / float32(steps)
			// A spark is thinner than a pixel, so it lights up to four.
			px, py := (x+t*float32(across))*side, (y+t*float32(along))*side
			left, top := floor(px), floor(py)
			for n := range 4 {
				i, j := int(left)+n%2, int(top)+n/2
				if i < 0 || i >= side || j < 0 || j >= side {
					continue
				}
				share := (1 - abs(px-left-float32(n%2))) * (1 - abs(py-top-float32(n/2))) * float32(k+1) / float32(steps)
				c.light[j*side+i] = c.light[j*side+i].plus(colour.times(share))
			}
		}
	}
}
