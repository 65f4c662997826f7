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
		tall: between(r, -0.3, 0.35), wide: between(r, 0.08, 0.2),
	}
	if r.Float32() < 0.4 {
		a.stripe = a.coat
	}
	warm := between(r, 0, 0.5)
	a.mist = rgb{1 + warm, 1 + warm/3, 1 - warm/3}.times(between(r, 1.6, 4))
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
				depth := 4 * float32(v.Mist) * ramp(0.62-0.35*float32(v.Mist), 0.85, n)
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
	stride := 0.35 * sin(v.Time*6)
	for y := range side {
		py := (float32(y)+0.5)/side - a.tall
		for x := range side {
			px := (float32(x)+0.5)/side - float32(v.Passer)
			var colour rgb
			edge := float32(-1)
			switch s := py / (a.wide * 5); {
			case s < 0:
			case s < 0.13:
				d := sqrt(px*px+(py-0.33*a.wide)*(py-0.33*a.wide)) / (0.36 * a.wide)
				edge, colour = 1-d, rgb{0.5, 0.42, 0.1}
			case s < 0.55:
				edge = 0.5 + 0.3*ramp(0.13, 0.25, s) - abs(px)/a.wide
				colour = a.coat
				if s > 0.36 && s < 0.4 {
					colour = a.stripe
				}
			default:
				leg := stride * (s - 0.55) * a.wide * 2
				edge = 0.3 - min(abs(px-leg-0.25*a.wide), abs(px+leg+0.25*a.wide))/a.wide
				colour = a.coat.times(0.5)
			}
			if edge > 0 {
				c.block(y*side+x, clamp(12*edge*a.wide*4, 0, 1), colour.times(1.4*a.reference*(0.7+0.3*float32(y)/side)))
			}
		}
	}
}

// addSparks draws a shower: streaks as long as the exposure lasts.
func (a *air) addSparks(v house.View, c *camera) {
	r := c.random
	fromX := noise(a.seed+8, float32(v.Time)/3, 0)
	for range int(14*v.Sparks + r.Float64()) {
		x, y := fromX+0.25*float32(r.NormFloat64()), r.Float32()
		angle := math.Pi/2 + 0.5*r.NormFloat64()
		length := between(r, 0.01, 0.09)
		bright := a.reference * between(r, 3, 25)
		colour := rgb{1, between(r, 0.4, 0.8), between(r, 0.1, 0.4)}.times(bright)
		steps := int(length*side*1.5) + 1
		for k := range steps {
			t := length * float32(k) / float32(steps)
			px, py := int((x+t*float32(math.Cos(angle)))*side), int((y+t*float32(math.Sin(angle)))*side)
			if px >= 0 && px < side && py >= 0 && py < side {
				c.light[py*side+px] = c.light[py*side+px].plus(colour.times(1 - 0.6*float32(k)/float32(steps)))
			}
		}
	}
}
