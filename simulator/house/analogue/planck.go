package analogue

import "math"

// temperatures of the table of glow: from coldest, in kelvin, a row each degrees.
const (
	coldest      = 600
	degrees      = 4
	temperatures = 360
	// steelMelts is where a shell burns through; it never gets hotter than that.
	steelMelts = 1790
)

// Wavelengths in metres of the red, green and blue filter, and of the near infrared that
// silicon still sees and old filters pass.
var bands = [3]float64{610e-9, 540e-9, 460e-9}

const nearInfrared = 800e-9

// planck is the spectral radiance of a black body in W/(m²·sr·m) (Planck 1901).
func planck(wavelength, kelvin float64) float64 {
	const c1, c2 = 1.191043e-16, 1.438777e-2 // 2hc² in W·m², hc/k in m·K
	return c1 / math.Pow(wavelength, 5) / math.Expm1(c2/(wavelength*kelvin))
}

// heat fills the table of glow. The factor makes a flat spectrum's channels its luminance
// in cd/m²: 683 lm/W times the 106.9 nm under the eye's sensitivity (CIE 1924).
func (c *camera) heat() {
	const luminance = 683 * 106.9e-9
	for i := range c.glow {
		t := float64(coldest + degrees*i)
		leak := float64(c.infrared) * planck(nearInfrared, t)
		for k, b := range bands {
			c.glow[i][k] = float32(luminance * (planck(b, t) + leak))
		}
	}
}

// radiance is the glow of a black body at t kelvin.
func (c *camera) radiance(t float32) colour {
	i := int((t - coldest) / degrees)
	if i < 0 {
		return colour{}
	}
	return c.glow[min(i, temperatures-1)]
}

// kelvin is where steel's glow is ratio times as bright as the lit shell, in red, or in
// luma where the camera has no colour.
func (c *camera) kelvin(ratio float32) float32 {
	for i, g := range c.glow {
		a, b := g[0], c.lit[0]
		if c.monochrome {
			a, b = g.luma(), c.lit.luma()
		}
		if t := float32(coldest + degrees*i); typicalEmissivity*a > ratio*b || t >= steelMelts {
			return t
		}
	}
	return steelMelts
}
