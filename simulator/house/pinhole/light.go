package pinhole

import "math"

// The sources of light, a layer each.
const day, lampA, lampB, fire, pit, layers = 0, 1, 2, 3, 4, 5

// noise is smooth value noise, 0–1, with a lattice of one unit.
func noise(x, y float64, seed uint32) float64 {
	fx, fy := math.Floor(x), math.Floor(y)
	ix, iy := uint32(int32(fx)), uint32(int32(fy))
	x, y = step(0, 1, x-fx), step(0, 1, y-fy)
	a, b := lattice(ix, iy, seed), lattice(ix+1, iy, seed)
	c, d := lattice(ix, iy+1, seed), lattice(ix+1, iy+1, seed)
	return a + (b-a)*x + (c-a)*y + (a-b-c+d)*x*y
}

// lattice is a random value, 0–1, that belongs to three numbers.
func lattice(x, y, seed uint32) float64 {
	h := x*0x9e3779b1 ^ y*0x85ebca77 ^ seed*0xc2b2ae3d
	h = (h ^ h>>15) * 0x2c1b3c6d
	h = (h ^ h>>12) * 0x297a2d39
	return float64(h^h>>15) / (1 << 32)
}

// rough is noise of three octaves, 0–1.
func rough(x, y float64, seed uint32) float64 {
	return 0.55*noise(x, y, seed) + 0.3*noise(2.1*x, 2.1*y, seed+1) + 0.15*noise(4.3*x, 4.3*y, seed+2)
}

// step goes smoothly from 0 at low to 1 at high.
func step(low, high, x float64) float64 {
	s := min(max((x-low)/(high-low), 0), 1)
	return s * s * (3 - 2*s)
}

// glow is the colour of a hot body, its red 1: Wien's law at 620, 550 and 460 nm, weighted.
func glow(kelvin float64) vec {
	return vec{1, 1.1 * math.Exp(-2950/kelvin), 1.5 * math.Exp(-8070/kelvin)}
}

// stain is a lasting mark on the shell, in surface coordinates.
type stain struct {
	u, v, wide, tall, strength float64
	colour                     vec
}

// skin is what the surfaces reflect: metal, paint, rust, soot and lime.
type skin struct {
	seed                    uint32
	base, hall              vec
	gloss, shine            float64 // strength and exponent of the highlight
	grime, soot, lime, rust float64
	bump, ribs, ribWidth    float64 // relief; ribs a turn; radians
	stains                  []stain
}

func newSkin(r dice, w *world) skin {
	bases := [...]vec{{0.3, 0.3, 0.31}, {0.2, 0.17, 0.15}, {0.38, 0.28, 0.21}, {0.45, 0.44, 0.42}, {0.14, 0.15, 0.17}, {0.22, 0.27, 0.25}, {0.3, 0.14, 0.1}}
	marks := [...]vec{{0.85, 0.84, 0.8}, {0.7, 0.68, 0.6}, {0.55, 0.25, 0.12}, {0.04, 0.04, 0.05}, {0.75, 0.45, 0.2}, {0.6, 0.2, 0.15}}
	s := skin{
		seed: r.Uint32(), base: bases[r.IntN(len(bases))], gloss: r.in(0, 0.9), shine: math.Exp(r.in(1.6, 4)),
		grime: r.in(0.2, 0.9), soot: r.in(0, 0.8), lime: r.in(0, 1) * r.Float64(), rust: r.in(0, 0.8),
		bump: r.in(0.05, 0.35), ribWidth: r.in(0.02, 0.05), ribs: max(0, math.Floor(r.in(-20, 24))),
		hall: vec{r.in(0.8, 1.2), 1, r.in(0.75, 1.25)}.scale(r.in(0.05, 0.4)),
	}
	for range r.IntN(9) {
		s.stains = append(s.stains, stain{r.in(0.2, 2.9) * w.radius, r.in(0.05, 1) * w.height,
			math.Exp(r.in(-3.2, -1)), math.Exp(r.in(-3.2, -0.8)), r.in(0.4, 1), marks[r.IntN(len(marks))]})
	}
	return s
}

// material is what a hit reflects and how glossy it is; it turns the normal by the relief.
func (s *skin) material(w *world, h *hit) (c vec, gloss float64) {
	switch h.what {
	case floor:
		return s.hall.scale(0.3 + rough(h.at.x*2, h.at.z*2, s.seed+20)), 0.05
	case wall, window:
		columns := 1 - 0.5*step(0.3, 0.2, math.Mod(math.Abs(h.at.x), 3.1))
		return s.hall.scale(columns * (0.5 + rough(h.at.x, h.at.y, s.seed+30))), 0
	case block:
		return white.scale(h.shade * (0.6 + 0.6*rough(h.at.x*6, h.at.y*6, s.seed+40))), 0.2
	}
	u, v := w.place(h.at)
	c = s.base.scale(1 + s.grime*(1.6*rough(u*2.3, v*2.3, s.seed)-0.8))
	c = c.mix(vec{0.35, 0.17, 0.08}, s.rust*step(0.5, 0.75, rough(u*1.7, v*1.2, s.seed+3)))
	c = c.mix(vec{0.72, 0.71, 0.67}, s.lime*step(0.66, 0.9, noise(u*9, v*0.9, s.seed+6)))
	c, gloss = c.scale(1-s.soot*step(0.5, 0.9, noise(u*7, v*0.7, s.seed+7))), s.gloss
	for _, m := range s.stains {
		if d := math.Hypot((u-m.u)/m.wide, (v-m.v)/m.tall); d < 2.4 {
			k := m.strength * (1 - step(0.5, 1.2, d*(0.5+noise(u*14, v*14, s.seed+8))))
			c, gloss = c.mix(m.colour, k), gloss*(1-0.7*k)
		}
	}
	relief := vec{noise(u*6, v*6, s.seed+9) - 0.5, noise(u*6, v*6, s.seed+10) - 0.5, noise(u*6, v*6, s.seed+11) - 0.5}
	if off := math.Mod((u/w.radius+7)*s.ribs, 2*math.Pi)/(s.ribs+1e-9) - s.ribWidth; h.what == shell && s.ribs > 0 && math.Abs(off) < s.ribWidth {
		relief = relief.add(vec{-h.at.z, 0, h.at.x}.scale(2 * math.Copysign(1, off) / w.radius)) // a rib's flank
	}
	h.face = h.face.add(relief.scale(s.bump)).unit()
	return c, gloss
}

// sources is where the light comes from.
type sources struct {
	at, colour [layers]vec
	share      [layers]float64 // of the light on the shell
	haze       float64         // share of light that a metre of air scatters
}

func newSources(r dice, w *world) (s sources) {
	lamps := [...]vec{{1, 0.62, 0.25}, {0.8, 1, 0.85}, {0.88, 1, 1.12}, {1, 0.8, 0.55}, {1, 0.95, 0.88}, {0.7, 0.85, 1.2}}
	s.haze = math.Exp(r.in(-5.5, -2.6))
	s.at[day] = w.boxes[0].low.mix(w.boxes[0].high, 0.5).add(vec{0, 0, 0.2})
	if r.Float64() < 0.5 { // the hall's open side, beside or behind the camera
		s.at[day] = vec{r.in(-8, 8), r.in(2, 7), r.in(1, 9)}
	}
	for l := lampA; l <= lampB; l++ {
		turn, out := r.in(-0.9, math.Pi+0.9), w.radius+r.in(0.8, 6)
		s.at[l] = vec{out * math.Cos(turn), r.in(1.5, 7), out * math.Sin(turn)}
		s.colour[l] = lamps[r.IntN(len(lamps))]
	}
	turn := r.in(-1, 1)
	s.at[pit] = vec{turn * 1.5 * w.radius, 0.1, w.radius * (1.7 - 0.5*math.Abs(turn))}
	s.at[fire] = vec{r.in(-0.3, 0.3), w.height + r.in(0.5, 1.1), r.in(0.2, 1) * w.radius}
	s.colour[day] = vec{r.in(0.6, 1), 0.9, r.in(0.85, 1.3)}
	s.colour[fire], s.colour[pit] = glow(r.in(1700, 3600)), glow(r.in(1100, 2000))
	total := 0.0
	for l, chance := range [layers]float64{0.65, 0.9, 0.5, 1, 0.45} {
		s.share[l] = 0.01
		if r.Float64() < chance {
			s.share[l] = 0.03 + math.Pow(r.Float64(), 2)
		}
		total += s.share[l]
	}
	for l := range s.share {
		s.share[l] /= total
	}
	return s
}

// trace fills the layers and scales each to its source's share of the light.
func (c *Camera) trace() {
	var bright [layers]float64
	count := 0.01
	for n := range 2 * pixels { // two rays a pixel
		i, second := n/2, float64(n%2)
		d := c.world.ray(float64(i%side)+0.3+0.45*second, float64(i/side)+0.7-0.45*second)
		h := c.world.trace(d)
		c.hits[i] = h
		for k, l := range c.shade(d, &h) {
			c.light[k][i] = c.light[k][i].add(l.scale(0.5))
			if h.what == shell {
				bright[k] += min(l.luma(), 3)
			}
		}
		if h.what == shell {
			c.bare[i] += 0.5
			count++
		}
	}
	for k := range c.light {
		for i, l := range c.light[k] {
			c.light[k][i] = l.scale(c.from.share[k] / (bright[k]/count + 1e-3)).dim(25)
		}
	}
}

// shade is the light that a hit and the air before it send to the eye, a source at a time:
// Lambert's law, a rough highlight, the shell's shadow, and what the hall sends back.
func (c *Camera) shade(d vec, h *hit) (out [layers]vec) {
	w, s := &c.world, &c.from
	paint, gloss := c.skin.material(w, h)
	corner, lifted := 0.45+0.55*step(0, 0.7, h.at.y+0.15), h.at.add(h.face.scale(0.02))
	around := [layers]float64{0.25, 0.25, 0.25, 0.06 + 0.22*math.Exp(-1.5*max(w.height-h.at.y, 0)), 0.05 + 0.12*math.Exp(-2*h.at.y)}
	for k := range out {
		way := s.at[k].sub(h.at)
		far := math.Sqrt(way.dot(way))
		way = way.scale(1 / far)
		sum := paint.scale((around[k] + 0.1*h.face.y) * corner)
		if facing := h.face.dot(way); facing > 0 {
			if t := w.cone(lifted, way, w.bands[0]); t < 0 || t > far {
				fall := 12 / (far*far + 1)
				shiny := gloss * math.Pow(max(h.face.dot(way.sub(d).unit()), 0), c.skin.shine)
				sum = sum.add(paint.scale(facing * fall)).add(white.scale(0.7 * shiny * fall))
			}
		}
		if h.what == mouth && k == fire {
			sum = white.scale(9)
		} else if h.what == window && k == day && math.Mod(h.at.x+40, w.pane) > 0.08 && math.Mod(h.at.y+40, 0.9) > 0.06 {
			sum = white.scale(6)
		}
		// Air scatters a source's light the more, the nearer the ray passes.
		way = s.at[k].sub(w.eye)
		along, near := way.dot(d), 0.3
		miss := math.Sqrt(max(way.dot(way)-along*along, 0))
		if along < h.far {
			near = 1
			if miss < 0.14 && (k == lampA || k == lampB) { // the lamp itself
				sum = white.scale(25)
			}
		}
		out[k] = sum.scale(math.Exp(-s.haze * h.far)).add(white.scale(near * s.haze * 1.2 / (miss + 0.35))).times(s.colour[k])
	}
	return out
}
