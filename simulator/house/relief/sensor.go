package relief

import (
	"math"
	"math/rand/v2"

	"meltwatch/simulator/house"
)

// sensor is the camera from the lens to the displayed picture.
type sensor struct {
	last, elapsed float64
	started       bool
	lens          lens

	// Automatic exposure aims at a mean. push is what a view's exposure does, in stops, and
	// cold and warm the casts that go with it.
	aim, gain, lag, push float32
	cold, warm           rgb

	// An HDR sensor joins a long exposure and one that is shorter by this ratio; without
	// HDR the ratio is 1, and bright places clip.
	ratio      float32
	shot, read float32

	// White balance moves from the fixed gains towards a grey world.
	fixed, balance      rgb
	adapts, balanceLag  float32
	temporal            float32
	previous, work      picture
	tone                tone
	vivid, edges, limit float32
	bright              field

	// grain is drawn once: a frame starts anywhere in it.
	grain [4 * pixels]float32
}

func newSensor(r *rand.Rand) sensor {
	s := sensor{
		lens: newLens(r),
		aim:  between(r, 0.07, 0.34), lag: between(r, 0.5, 2), push: between(r, 1.2, 2.2),
		cold:  rgb{between(r, 0.6, 0.9), between(r, 0.85, 1), between(r, 1.1, 1.5)},
		warm:  rgb{between(r, 1, 1.25), between(r, 0.95, 1.1), between(r, 0.6, 1)},
		ratio: 1, shot: between(r, 0.008, 0.04), read: between(r, 0.002, 0.015),
		adapts: between(r, 0.2, 0.95), balanceLag: between(r, 1.5, 6),
		fixed:    rgb{float32(1 + 0.12*r.NormFloat64()), 1, float32(1 + 0.12*r.NormFloat64())},
		temporal: between(r, 0, 0.8), vivid: between(r, 0.5, 1.3),
		edges: between(r, 0.1, 1.4), limit: between(r, 0.05, 0.25),
	}
	if r.Float32() < 0.65 {
		s.ratio = between(r, 4, 16)
	}
	if r.Float32() < 0.12 {
		s.vivid = between(r, 0, 0.15)
	}
	s.tone = newTone(r)
	for k := range s.grain {
		s.grain[k] = float32(r.NormFloat64())
	}
	return s
}

// advance notes the time of a frame and returns how long ago the last one was.
func (s *sensor) advance(t float64) float64 {
	s.elapsed = t - s.last
	if !s.started {
		s.elapsed = 1000
	}
	s.last = t
	return s.elapsed
}

// expose turns the light of c into the displayed picture.
func (s *sensor) expose(v house.View, c *camera) {
	gain := s.meter(c) * float32(math.Exp2(float64(s.push)*v.Exposure))
	s.notice(gain, c)
	s.lens.pass(v.Time, c)
	s.capture(gain, float32(v.Exposure), c)
	s.filter()
	s.tone.apply(&s.work, &c.rendered)
	s.finish(&c.rendered)
	s.started = true
}

// meter follows the light with the automatic exposure and white balance.
func (s *sensor) meter(c *camera) float32 {
	rounds := 1
	if !s.started {
		s.gain, rounds = 1, 12
	}
	keep := exp(-float32(min(s.elapsed, 60)) / s.lag)
	var mean rgb
	for range rounds {
		mean = rgb{}
		sum := float32(0)
		for i := range c.light {
			// Clipped pixels count as white, so that a bright place cannot darken the rest without limit.
			l := c.light[i].luminance() * s.gain
			sum += min(l, 1)
			mean = mean.plus(c.light[i].times(min(1, 0.7/max(l, 1e-4))))
		}
		wanted := s.gain * clamp(s.aim/max(sum/pixels, 1e-3), 0.4, 2.5)
		s.gain = clamp(s.gain*keep+wanted*(1-keep), 0.02, 150)
	}
	grey := mean.luminance()
	keep = exp(-float32(min(s.elapsed, 60)) / s.balanceLag)
	for k := range s.balance {
		full := clamp(grey/max(mean[k], 1e-4), 0.5, 2)
		wanted := s.fixed[k] * lerp(1, full, s.adapts)
		s.balance[k] = s.balance[k]*keep + wanted*(1-keep)
	}
	return s.gain
}

// notice drops from what is seen where the spot adds too little to what else is there, or
// where all is clipped.
func (s *sensor) notice(gain float32, c *camera) {
	for i := range c.seen {
		if c.seen[i] == 0 {
			continue
		}
		c.seen[i] *= ramp(0.1, 0.2, c.clear[i])
		added := c.spot[i].times(c.clear[i])
		most := float32(0)
		for k := range added {
			other := max(c.light[i][k]-added[k], 0)
			if other*gain < 0.8*s.ratio {
				most = max(most, added[k]/(other+0.02/gain))
			}
		}
		if most < 0.2 {
			c.seen[i] = 0
		}
	}
}

// capture exposes, clips and adds noise, into work.
func (s *sensor) capture(gain, exposure float32, c *camera) {
	cast := rgb{1, 1, 1}
	for k := range cast {
		if exposure < 0 {
			cast[k] = lerp(1, s.cold[k], -exposure)
		} else {
			cast[k] = lerp(1, s.warm[k], exposure)
		}
		cast[k] *= s.balance[k]
	}
	// The gains are at least 1, so that a raw value that clips in all channels is white.
	cast = cast.times(1 / min(cast[0], cast[1], cast[2]))
	next := c.random.IntN(len(s.grain))
	for i := range c.light {
		for k := range cast {
			x := c.light[i][k] * gain
			n := s.grain[next]
			next = (next + 1) % len(s.grain)
			if x < 0.9 || s.ratio == 1 {
				x += n * sqrt(s.shot*s.shot*x+s.read*s.read)
				x = clamp(x, 0, 1)
			} else {
				// The short exposure's noise counts for more.
				x /= s.ratio
				x += n * sqrt(s.shot*s.shot*x+s.read*s.read)
				x = clamp(x, 0.9/s.ratio, 1) * s.ratio
			}
			s.work[i][k] = min(x*cast[k], s.ratio)
		}
	}
}

// filter averages over time where nothing moves.
func (s *sensor) filter() {
	weight := s.temporal * exp(-float32(s.elapsed)/0.25)
	if s.started && weight > 0.02 {
		for i := range s.work {
			d := abs(s.work[i].luminance() - s.previous[i].luminance())
			w := weight * clamp(1.5-12*d/(0.1+s.previous[i].luminance()), 0, 1)
			s.work[i] = s.work[i].times(1 - w).plus(s.previous[i].times(w))
		}
	}
	s.previous = s.work
}

// finish sets the saturation and sharpens, with halos beside edges.
func (s *sensor) finish(p *picture) {
	for i := range p {
		s.bright[i] = p[i].luminance()
	}
	for y := range side {
		for x := range side {
			i := y*side + x
			up, down := max(y-1, 0)*side, min(y+1, side-1)*side
			left, right := max(x-1, 0), min(x+1, side-1)
			around := (s.bright[up+x] + s.bright[down+x] + s.bright[y*side+left] + s.bright[y*side+right]) / 4
			far := (s.bright[max(y-2, 0)*side+x] + s.bright[min(y+2, side-1)*side+x] + s.bright[y*side+max(x-2, 0)] + s.bright[y*side+min(x+2, side-1)]) / 4
			l := s.bright[i]
			edge := clamp(s.edges*(l-(around+far)/2), -s.limit, s.limit)
			for k := range 3 {
				p[i][k] = l + s.vivid*(p[i][k]-l) + edge
			}
		}
	}
}
