package plates

import (
	"math"

	"meltwatch/simulator/house"
)

// veil lets mist and feeding's dust drift between wall and camera.
func (c *camera) veil(v house.View, mask []byte) {
	if v.Mist < 0.01 && c.dust < 0.01 {
		return
	}
	t, bright := v.Time, c.hall.plus(0.3, c.hall).plus(float32(0.4*c.flame), c.fire)
	earth := bright.times(rgb{0.4, 0.34, 0.26})
	for i := range c.scene {
		x, y := float64(i%side), float64(i/side)
		n := c.clouds.at(0.6*x+7*t, 0.6*y+19*t) + c.grains.at(0.3*x-5*t, 0.3*y+11*t) - 0.5
		thick, dusty := min(max(v.Mist*(2.2*n-0.1), 0), 0.95), min(max(c.dust*(n+0.3), 0), 0.8)
		c.scene[i] = c.scene[i].mix(float32(dusty), earth).mix(float32(thick), bright)
		if mask != nil && thick+dusty > 0.75 {
			mask[i] = 0
		}
	}
}

// pass draws a worker who walks by.
func (c *camera) pass(v house.View, mask []byte) {
	if !v.Passes {
		return
	}
	stride := math.Sin(3.5 * v.Time)
	top, light := side-0.8*c.size+1.5*stride*stride, c.ambient.plus(1, c.hall).plus(0.3, c.fire)
	for i := side * max(int(top), 0); i < count; i++ {
		x, h := float64(i%side)-v.Passer*side, (float64(i/side)-top)/c.size
		half, colour := 0.14+0.02*math.Sin(20*h), c.suit
		switch {
		case h < 0.14:
			half, colour = 0.065*math.Sqrt(max(1-(h/0.07-1)*(h/0.07-1), 0)), c.helmet
		case h < 0.22: // shoulders
			half = 0.035 + 0.09*math.Sqrt((h-0.14)/0.08)
		case h > 0.33 && h < 0.36:
			colour = rgb{0.9, 0.9, 0.8} // a reflecting strip
		case h > 0.55: // legs
			x, half = math.Abs(x-0.04*c.size*stride)-0.06*c.size, 0.035+0.02*math.Abs(stride)
		}
		cover, shade := min(max(half*c.size-math.Abs(x)+0.5, 0), 1), float32(0.2+0.9*c.grains.at(0.7*x+50, 0.7*h*c.size))
		c.scene[i] = c.scene[i].mix(float32(cover), colour.times(rgb{shade, shade, shade}).times(light))
		if mask != nil && cover > 0.5 {
			mask[i] = 0
		}
	}
}

// develop exposes the scene, lets what clips bloom, and writes it as bytes.
func (c *camera) develop(exposure float64, pixels []byte) {
	gain, warm := float32(c.gain*math.Exp2(c.swing*exposure-c.follow*c.meter)), float32(math.Exp(c.warmth*exposure))
	s, clip, clips := &c.spill, 0.9/gain, false
	over := func(x float32) float32 { return min(max(x-clip, 0), 4*clip) }
	for i, l := range c.scene {
		s[i] = rgb{over(l.r), over(l.g), over(l.b)}
		clips = clips || s[i] != rgb{}
	}
	for step := 1; clips && step <= side; step *= side { // there and back, not from one row into the next
		for i := step; i < count; i++ {
			if i%side >= step%side {
				s[i] = s[i].mix(hold, s[i-step])
			}
		}
		for i := count - 1; i >= step; i-- {
			if i%side >= step%side {
				s[i-step] = s[i-step].mix(hold, s[i])
			}
		}
	}
	expose, grit, shift := c.cast.times(rgb{gain * warm, gain, gain / warm}), c.grit, c.r.IntN(count)
	for i, l := range c.scene {
		x, y, n := float32(i%side)/side-0.5, float32(i/side)/side-0.5, c.noise[shift+i:shift+i+2*side+1]
		lens := 1 - c.vignette*(x*x+y*y)
		l = l.plus(c.bloom, s[i]).times(expose).times(rgb{lens, lens, lens})
		grey := l.grey()
		l = rgb{grey, grey, grey}.mix(c.colour, l)
		for j, s := range [3]float32{l.r, l.g, l.b} {
			s += n[0]*grit*(1+4*s) + n[j*side]*grit
			pixels[3*i+j] = c.tone[min(max(int(s*(tones/toneTop)), 0), tones-1)]
		}
	}
}
