package relief

import "math/rand/v2"

// material is the reflectance of the plate: paint or bare steel under rust, soot, lime
// from dripping water, and white stains.
type material struct {
	seed               uint32
	base, rust         rgb
	gloss              float32
	rusty, sooty, limy float32
	stain              float32
	grain              float32
	pipe               rgb
	pipeGloss          float32
}

// paints are usual finishes of a shell, from bare steel to red primer.
var paints = []rgb{
	{0.30, 0.29, 0.28}, {0.20, 0.20, 0.21}, {0.38, 0.38, 0.36}, {0.16, 0.22, 0.28},
	{0.17, 0.25, 0.20}, {0.30, 0.16, 0.11}, {0.42, 0.36, 0.22}, {0.26, 0.22, 0.18},
}

func newMaterial(r *rand.Rand) material {
	m := material{
		seed: r.Uint32(), base: paints[r.IntN(len(paints))].times(between(r, 0.6, 1.3)),
		rust:  rgb{0.24, 0.13, 0.07}.times(between(r, 0.6, 1.2)),
		gloss: between(r, 0, 0.5), rusty: r.Float32(), sooty: r.Float32(), limy: r.Float32(),
		stain: r.Float32(), grain: between(r, 0.1, 0.5),
		pipe: paints[r.IntN(len(paints))].times(between(r, 0.5, 1.6)), pipeGloss: between(r, 0.1, 0.9),
	}
	return m
}

func (m *material) at(u, v float32) (rgb, float32) {
	c := m.base.times(1 + m.grain*(fractal(m.seed, 14*u, 14*v, 3)-0.5))
	gloss := m.gloss
	if rust := ramp(1-m.rusty, 1.3-m.rusty, fractal(m.seed+1, 5*u, 4*v, 4)+0.25); rust > 0 {
		c = c.times(1 - rust).plus(m.rust.times(rust * (0.6 + 0.8*noise(m.seed+2, 30*u, 30*v))))
		gloss *= 1 - 0.8*rust
	}
	// Lime runs down in streaks.
	if lime := m.limy * ramp(0.6, 0.85, fractal(m.seed+3, 16*u, 1.6*v, 3)); lime > 0 {
		c = c.times(1 - 0.7*lime).plus(rgb{0.6, 0.6, 0.57}.times(0.7 * lime))
	}
	if m.stain > 0.55 {
		stain := ramp(0.6+0.12*m.stain, 0.72+0.1*m.stain, fractal(m.seed+4, 5*u, 5*v, 3))
		c = c.times(1 - stain).plus(rgb{0.75, 0.74, 0.7}.times(stain))
	}
	soot := m.sooty * clamp(1.1-1.3*v+0.8*(noise(m.seed+5, 4*u, 2*v)-0.5), 0, 0.9)
	return c.times(1 - soot), gloss * (1 - soot)
}
