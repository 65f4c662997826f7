// Package plates shows the shell as a close, nearly flat wall that the crew has patched
// for years: plates, seams, rust, lime, soot, stains and hoses, all of noise in several
// octaves, laid over each other in another order in each melt (wall.go). What moves is the
// light: hall light drifts across the wall's relief with the shadows of what stands in its
// way, the furnace's own fire lights it from one side, and lamps shine back from it.
//
// A hot spot burns through pixel by pixel in a fixed order: the plate dries or scorches,
// which stays, then glows beneath its own crust, so that lime, seams and patches show in
// the glow (spot.go). The camera meters with a lag, clips each channel for itself, and what
// clips blooms (air.go, with mist and men).
//
// Random are, for each melt, the wall, the lights and the camera, and from frame to frame
// flame, sparks, shake and noise. Light is linear, 1 = white paint in full hall light.
package plates

import (
	"math"
	"math/rand/v2"

	"meltwatch/simulator/house"
)

const (
	side    = house.Side
	count   = side * side
	stream  = 0x91a7e5 // of this family's random numbers
	toneTop = 2        // exposed light at which the tone curve ends
	tones   = 8192
	hold    = 0.75 // of the light that spills from a pixel to the next
)

type camera struct {
	*wall
	spot
	r                             *rand.Rand
	scene, spill                  [count]rgb // light; what clips, spread
	hall, fire, ambient           rgb        // the lights
	shade                         *tile      // what stands in the hall light's way
	shadow, soft, pace            float64    // its depth and edge; how fast the light wanders
	phases                        [7]float64 // of the wandering
	fireRow                       [side]float64
	gleam                         [wide * wide]float32 // the lamps' reflections
	flame, tongues, dust          float64              // the flame's level, its height at 1 in pixels; feeding's dust
	suit, helmet                  rgb
	size                          float64 // of a passing worker, pixels
	last, meter, lag              float64 // seconds; stops; seconds
	gain, follow, swing           float64 // factor; share of the meter undone; stops an Exposure
	cast                          rgb
	warmth                        float64 // of the cast, an Exposure
	colour, grit, bloom, vignette float32 // saturation, noise, share of the spill seen
	shake                         float64
	tone                          [tones]byte
	noise                         [2*count + 3*side]float32
}

// New builds the wall, the lights and the camera of a melt.
func New(s house.Setting) house.Camera {
	r := rand.New(rand.NewPCG(s.Seed, stream))
	log := func(low, high float64) float64 { return math.Exp(between(r, low, high)) }
	c := &camera{r: r, wall: build(r), shade: noise(r, between(r, 0.1, 0.7)), last: -60,
		shadow: between(r, 0.2, 0.95), soft: log(-3.5, -0.7), pace: between(r, 0.5, 2), size: between(r, 30, 110),
		suit: pigments[r.IntN(len(pigments))], helmet: pigments[r.IntN(len(pigments))], tongues: max(between(r, -15, 15), 0),
		lag: between(r, 0.5, 2), gain: log(-0.9, 0.8), follow: between(r, 0.15, 0.75), swing: between(r, 1.1, 2),
		colour: float32(log(-1.3, 0.2)), grit: float32(log(-7, -4.6)), bloom: float32(log(-3, -0.3)),
		vignette: float32(between(r, 0, 1)), shake: between(r, -0.2, 0.3)}
	c.power = log(-0.4, 1)
	lamps := []rgb{{1, 0.97, 0.92}, {0.65, 0.9, 1.25}, {1.2, 0.8, 0.35}, {0.7, 1.05, 0.8}, {1.1, 0.95, 0.75}}
	warm, reach, below := float32(between(r, 0.3, 0.65)), between(r, 8, 60), float64(side*r.IntN(2))
	c.hall = c.hall.plus(float32(log(-2.5, 0)), lamps[r.IntN(len(lamps))])
	c.ambient = c.ambient.plus(0.01+0.1*c.hall.g, lamps[r.IntN(len(lamps))])
	c.fire = c.fire.plus(float32(log(-3, 0.5)), rgb{1, warm, 0.7 * warm * warm})
	if c.tongues > 0 {
		below = 0 // where flames show, the fire is above
	}
	for y := range c.fireRow {
		c.fireRow[y] = math.Exp(-math.Abs(float64(y)-below) / reach)
	}
	for range r.IntN(4) {
		x0, y0, w, h, power := wide*r.Float64(), wide*r.Float64(), log(-0.2, 1.6), log(-0.2, 1.6), log(-1, 1.6)
		for i := range c.gleam {
			dx, dy := (float64(i%wide)-x0)/w, (float64(i/wide)-y0)/h
			c.gleam[i] += float32(power*math.Exp(-1.5*(dx*dx+dy*dy))) * c.crust[i] * c.crust[i]
		}
	}
	for i := range c.phases {
		c.phases[i] = 2 * math.Pi * r.Float64()
	}
	c.cast, c.warmth = rgb{float32(log(-0.2, 0.2)), 1, float32(log(-0.2, 0.2))}, between(r, -0.1, 0.35)
	lift, shoulder, gamma := between(r, 0, 0.12), between(r, 0.05, 0.8), between(r, 0.38, 0.6)
	for i := range c.tone {
		x := toneTop * float64(i) / tones
		x *= (1 + shoulder*x/4) / (1 + shoulder*x) // a soft or a hard clip
		c.tone[i] = byte(255 * min(lift+(1-lift)*math.Pow(x, gamma)*1.05, 1))
	}
	for i := range c.noise {
		c.noise[i] = float32(r.NormFloat64())
	}
	for i := range c.scar {
		c.scar[i] = 1
	}
	return c
}

// Crop implements house.Camera.
func (c *camera) Crop(v house.View, pixels, mask []byte) {
	step := v.Time - c.last
	c.last = v.Time
	follow := func(now *float64, to, seconds float64) { *now += (to - *now) * (1 - math.Exp(-step/seconds)) }
	burst, raised := v.Turbulence, 0.0
	if v.Exhaust {
		burst += 1.5
	}
	if v.Feeding {
		raised = 0.45
	}
	follow(&c.flame, v.Light*(0.35+0.65*burst)*between(c.r, 0.8, 1.2), 0.5)
	follow(&c.dust, raised, 5)
	corner := margin*wide + margin // of the crop, in the wall
	if c.r.Float64() < c.shake {
		corner += (c.r.IntN(3)-1)*wide + c.r.IntN(3) - 1
	}
	clear(mask)
	c.warm(v, mask, corner)
	c.shine(v.Time, corner)
	c.veil(v, mask)
	c.pass(v, mask)
	for range int((16 + c.r.Float64()) * v.Sparks) {
		x, y, dx, dy := side*c.r.Float64(), side*c.r.Float64(), 0.7*c.r.NormFloat64(), between(c.r, 0.2, 1.2)
		for power := between(c.r, 0.3, 3); power > 0.1 && x >= 0 && x < side && y < side; power *= 0.6 {
			at := int(y)*side + int(x)
			c.scene[at] = c.scene[at].plus(float32(power), rgb{1, 0.7, 0.3})
			x, y, dy = x+dx, y+dy, dy+0.08
		}
	}
	mean := float32(0)
	for _, s := range c.scene {
		mean += min(s.grey(), 1.5) / count
	}
	follow(&c.meter, math.Log2(float64(mean)+0.004)-math.Log2(0.18), c.lag)
	c.develop(v.Exposure, pixels)
}

// wander is the i-th slow swing of the hall light, −1 to 1.
func (c *camera) wander(t, period float64, i int) float64 {
	return math.Sin(2*math.Pi*t*c.pace/period + c.phases[i])
}

// shine lights the wall, whose crop begins at corner, and adds what glows.
func (c *camera) shine(t float64, corner int) {
	level, dip := 1+0.2*c.wander(t, 410, 0)+0.08*c.wander(t, 37, 1), c.shadow
	sx, sy := 40*c.wander(t, 1900, 2)+3*c.wander(t, 90, 3), 30*c.wander(t, 1300, 4)
	lx, ly := float32(c.wander(t, 900, 5)), float32(0.5+0.6*c.wander(t, 700, 6))
	for i := range c.scene {
		x, y := float64(i%side), i/side
		at := corner + y*wide + i%side
		open := float32(level * (1 - dip + dip*edge(c.shade.at(0.7*x+sx, 0.7*float64(y)+sy), 0.42, c.soft)))
		slope, light, glow := c.slope[at], c.ambient, rgb{}
		light = light.plus(open*min(max(1+lx*slope[0]+ly*slope[1], 0.2), 2.5), c.hall)
		light = light.plus(float32(c.flame*c.fireRow[y])*min(max(1+slope[1], 0.3), 2), c.fire)
		if c.temperature[at] > 0.05 {
			glow = c.glowing(c.temperature[at], c.crust[at])
		}
		if top := c.tongues * c.flame; float64(y) < top { // the flame at the upper rim
			glow = glow.plus(float32(max(2-2*float64(y)/(top*max(c.grains.at(0.5*x, 9*t), 0.05)), 0)), c.fire)
		}
		c.scene[i] = glow.plus(open*c.gleam[at], c.hall).plus(c.scar[at], c.paint[at].times(light))
	}
}
