// Package metal is a family of pictures: a curved shell of bare metal under moving light.
//
// The principle: every place of the shell has a direction across the curve (ribs and dents
// turn it), and each frame the lights of the moment (daylight that clouds dim, a lamp on a
// travelling crane, the hall's lamps) are summed once per direction into a table of
// diffuse light and highlight. Fire at the mouth and at the floor adds orange. Windows,
// lamps and their fixed images on the metal are layers of light. All is linear radiance
// until the camera: lagging metering, partial white balance, a clipping curve, noise.
//
// The hot spot is heat behind the plate: places are ranked by a warped distance from one
// to three centres, the spot is the first of them up to its area, and heat rises with
// depth inside it. Its strength is drawn against the shell's own light: some are faint.
//
// Random are, per melt: pose, finish, stains, things, all lights, camera, worker; and with
// time: clouds, flicker, shake, sparks, noise. Units: seconds, shares of the crop's side,
// radiance.
package metal

import (
	"math"
	"math/rand/v2"

	"meltwatch/simulator/house"
)

const (
	stream = 0x3e7a1b05 // the family's own random stream
	steps  = 1024       // of the tone curve
	white  = 2.5        // exposed radiance at the tone curve's end
)

// light shines on the shell from one direction round it.
type light struct {
	azimuth, rough float64 // radians
	tint           rgb
}

type camera struct {
	*scene
	rng                   *rand.Rand
	seed                  uint64
	time                  float64
	lights                [3]light // day, hall, crane
	diffuse, highlight    [facings]rgb
	ambient, fire, suit   rgb
	fireTop, fireLow      float32 // strength of the fire at the mouth and at the floor
	cloud, flicker, sway  float64 // states of variance 1
	flame, dust           float64 // height, 1 usual; 0–1
	flameLag, cranePeriod float64 // seconds
	wind, loose, tall     float64 // texture pixels a second; pixels of shake; worker's height
	typical               float32 // the shell's mean radiance in usual work
	spot                  spot

	meter                    rgb     // lagging mean of what is seen
	meterLag, key            float64 // seconds; level sought
	adapt, balance, stops    float64 // shares of level and of cast taken out; stops of Exposure
	base, cast               rgb     // the camera's colour, and what Exposure does to it
	saturation, grain, stray float32
	lens                     [side * side]float32
	curve                    [steps]float32
	radiance                 [side * side]rgb
}

// New returns the picture of one melt.
func New(s house.Setting) house.Camera {
	r := rand.New(rand.NewPCG(s.Seed, stream))
	lit := level(r, 0.1, 1) // a dark hall leaves the light to the fire
	c := &camera{
		scene: build(r), rng: r, seed: s.Seed, ambient: grey(r, 0.03*lit, 0.3*lit, 0.2),
		fire:    rgb{1, float32(between(r, 0.3, 0.5)), float32(between(r, 0.04, 0.16))},
		fireTop: float32(level(r, 0.08, 2.5)), fireLow: float32(level(r, 0.03, 2.5)),
		flameLag: between(r, 0.2, 1), cranePeriod: between(r, 40, 240), wind: between(r, -25, 25),
		suit: grey(r, 0.03, 0.5, 0.7), tall: between(r, 0.5, 1.5), loose: between(r, 0, 0.8), cloud: r.NormFloat64(),
		meterLag: between(r, 0.5, 2), key: level(r, 0.13, 0.45), adapt: between(r, 0.7, 1), stops: between(r, 1.2, 2.4),
		balance: between(r, 0, 0.9), base: grey(r, 1, 1, 0.25), cast: rgb{1, 1, 1}.mix(rgb{1.25, 1.1, 0.55}, float32(between(r, -0.2, 1))),
		saturation: float32(min(1, between(r, 0.2, 2))), grain: float32(level(r, 0.004, 0.03)), stray: float32(level(r, 0.005, 0.08)),
	}
	for i, most := range []float64{0.9, 0.6, 0.5} {
		c.lights[i] = light{between(r, -1.3, 1.3), between(r, 0.06, 0.35), warmth(r).times(float32(lit * level(r, most/25, most)))}
	}
	c.spot.strength, c.spot.grade = float32(level(r, 1.7, 10)), between(r, 0.8, 2)
	c.spot.tint = rgb{1, 1, 1}.mix(rgb{1, 1.8, 4}, float32(max(0, between(r, -0.9, 0.6))))
	knee, dirt := between(r, 2, 6), float32(between(r, 0, 0.4))
	for i := range c.curve { // a film's curve: the knee decides how hard it clips
		x := float64(i) / steps * white
		c.curve[i] = float32(255 * min(1, 1.03*math.Pow(x/math.Pow(1+math.Pow(x, knee), 1/knee), 1/2.2)))
	}
	for i := range c.lens {
		x, y := float64(i%side)/side-0.5, float64(i/side)/side-0.5
		c.lens[i] = (1 - float32(0.7*(x*x+y*y))) * (1 - dirt*ease(c.noise(45*x+9, 45*y+70)))
	}
	c.illuminate(0, 1)
	count := float32(1)
	for i := range c.points {
		if p := &c.points[i]; p.metal {
			c.typical += c.shade(p, 0.8*c.fireTop, 0.8*c.fireLow).mean()
			count++
		}
	}
	c.typical /= count
	return c
}

// Crop implements house.Camera.
func (c *camera) Crop(v house.View, pixels, mask []byte) {
	dt := min(max(v.Time-c.time, 0.04), 5)
	c.time = v.Time
	c.live(v, dt)
	day, lamp := float32(math.Exp(0.5*c.cloud)), float32(1+0.03*c.rng.NormFloat64())
	c.illuminate(v.Time, day)
	c.spot.follow(c, v.Spot)
	top := c.fireTop * float32(v.Light*c.flame*(1+0.2*c.flicker))
	low := c.fireLow * float32(v.Light*(0.8+0.15*c.flicker))
	dull := rgb{1, 0.22, 0.05}.times(float32(v.Overheated) * c.typical)
	mist, dust, wind := float32(v.Mist), float32(0.75*c.dust), c.wind*v.Time
	spray, powder := rgb{1, 1, 1.02}.times(c.ambient.mean()+5*c.typical), c.ambient.plus(c.fire.times(0.3*top))
	shift := (margin+int(math.Round(min(max(c.sway*c.loose, -2), 2)*0.7)))*wide + margin
	for i := range c.radiance {
		x, y := float64(i%side), float64(i/side)
		at := i/side*wide + i%side + shift
		p := &c.points[at]
		l, seen := c.shade(p, top, low).plus(p.day.times(day)).plus(p.lamp.times(lamp)), false
		if p.open > 0 { // tongues of flame
			reach := 0.18 * top / c.fireTop * (0.3 + 1.4*c.noise(1.7*x, 40*v.Time))
			body := 1.4 - p.open/max(reach, 0.01) - 0.9*c.noise(2*x, 2*y+70*v.Time)
			l = l.plus(c.fire.plus(rgb{0, 0.12, 0.05}).times((c.fireTop + 4*c.typical) * float32(v.Light) * min(max(body, 0), 1)))
		}
		if p.metal {
			var heat rgb
			heat, seen = c.spot.at(c, at, v.Spot)
			l = l.plus(dull).plus(heat)
		}
		if v.Ember > 0 {
			l = l.plus(c.cinder(v, x, y))
		}
		if v.Passes {
			if body, hit := c.passer(v, x/side, y/side); hit {
				l, seen = body, false
			}
		}
		if dust > 0.01 {
			l = l.mix(powder, dust*c.noise(0.6*x+wind/3, 0.6*y-12*v.Time))
		}
		if mist > 0 {
			thick := min(0.95, mist*2.6*ease(c.noise(x+wind, y+30*v.Time))*c.noise(0.5*x-wind/2, 0.5*y+9*v.Time))
			l, seen = l.mix(spray, thick), seen && thick < 0.75
		}
		if c.radiance[i] = l; mask != nil {
			if mask[i] = 0; seen {
				mask[i] = 1
			}
		}
	}
	for range int(v.Sparks * 22 * c.rng.Float64()) { // short falling streaks
		x, y, dx, dy := c.rng.Float64()*side, c.rng.Float64()*side, 0.6*c.rng.NormFloat64(), between(c.rng, 0.3, 1)
		for i := range 2 + c.rng.IntN(5) {
			at := int(y+dy*float64(i))*side + int(x+dx*float64(i))
			if at >= 0 && at < len(c.radiance) {
				c.radiance[at] = c.radiance[at].plus(rgb{6, 4, 2}.times(c.typical))
			}
		}
	}
	c.expose(v.Exposure, dt, pixels)
}

// live moves everything that has a will of its own.
func (c *camera) live(v house.View, dt float64) {
	goal, feeding := 0.45+0.55*v.Turbulence, 0.0
	if v.Exhaust {
		goal *= 1.6
	}
	if v.Feeding {
		goal, feeding = 0.6*goal, 1
	}
	c.flame += (goal - c.flame) * (1 - math.Exp(-dt/c.flameLag))
	c.dust += (feeding - c.dust) * (1 - math.Exp(-dt/4))
	for i, state := range []*float64{&c.cloud, &c.flicker, &c.sway} {
		k := math.Exp(-dt / []float64{60, 0.3, 0.5}[i])
		*state = *state*k + math.Sqrt(1-k*k)*c.rng.NormFloat64()
	}
}

// illuminate sums the lights of the moment for every direction across the curve.
func (c *camera) illuminate(time float64, cloud float32) {
	now := c.lights
	now[0].tint = now[0].tint.times(cloud)
	now[0].azimuth += 0.2 * math.Sin(time/900)
	now[2].azimuth += 1.6 * math.Sin(2*math.Pi*time/c.cranePeriod)
	for i := range facings {
		angle := math.Asin(2*(float64(i)+0.5)/facings - 1)
		c.diffuse[i], c.highlight[i] = c.ambient, rgb{}
		for _, l := range now {
			c.diffuse[i] = c.diffuse[i].plus(l.tint.times(float32(max(0, math.Cos(angle-l.azimuth)))))
			off := (angle - l.azimuth/2) / l.rough // half way between the light and the camera
			c.highlight[i] = c.highlight[i].plus(l.tint.times(float32(0.6 / (0.3 + l.rough) * math.Exp(-off*off))))
		}
	}
}

// shade returns what a place sends to the camera by the light that falls on it.
func (c *camera) shade(p *point, top, low float32) rgb {
	fire := c.fire.times(p.above*top + p.below*low)
	return p.body.by(c.diffuse[p.facing].plus(fire)).plus(c.highlight[p.facing].plus(fire.times(0.3)).times(p.gloss))
}

// expose turns radiance into pixels.
func (c *camera) expose(push, dt float64, pixels []byte) {
	var mean rgb
	for i := 0; i < len(c.radiance); i += 3 {
		l := c.radiance[i]
		if top := 6 * c.meter.mean(); top > 0 { // the metering leaves out what clips
			l = rgb{min(l.r, top), min(l.g, top), min(l.b, top)}
		}
		mean = mean.plus(l.times(3.0 / side / side))
	}
	follow := float32(1 - math.Exp(-dt/c.meterLag))
	if c.meter == (rgb{}) { // the first picture
		follow = 1
	}
	c.meter = c.meter.mix(mean, follow).plus(rgb{1e-5, 1e-5, 1e-5})
	m := float64(c.meter.mean())
	gain := c.key / math.Pow(m, c.adapt) * math.Pow(0.3, c.adapt-1) * math.Exp2(c.stops*push)
	factor := c.meter.power(-c.balance).by(c.cast.power(push)).by(c.base).times(float32(gain * math.Pow(m, c.balance)))
	stray, noise := c.meter.by(factor).times(c.stray), 255*c.grain*float32(math.Sqrt(min(max(gain, 0.3), 6)))/418
	tone := func(e float32) float32 { return c.curve[min(max(int(e*steps/white), 0), steps-1)] }
	last := rgb{}
	for i, l := range c.radiance {
		e := l.by(factor).times(c.lens[i]).plus(stray)
		e = rgb{tone(e.r), tone(e.g), tone(e.b)}
		grey := 0.3*e.r + 0.59*e.g + 0.11*e.b
		last = last.mix(e.plus(rgb{-grey, -grey, -grey}), 0.6) // colour is smeared along the line, as in video
		random := c.rng.Uint64()
		for k, value := range [3]float32{last.r, last.g, last.b} {
			n := float32(int(random>>(20*k)&1023) + int(random>>(20*k+10)&1023) - 1023) // triangular, deviation 418
			pixels[3*i+k] = byte(min(max(grey+c.saturation*value+noise*n, 0), 255))
		}
	}
}
