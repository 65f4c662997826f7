package analogue

import (
	"math"

	"meltwatch/simulator/house"
)

// shine finds what each light makes of the shell. The shell is a cylinder: diffuse light
// falls off towards its sides (Lambert 1760), and bare places mirror a lamp as a streak.
func (s *shell) shine(r dice, t *traits) {
	lamp, bend := r.between(-0.6, 0.6), r.between(0.4, 1.2)
	gloss, glossAt, glossWidth := r.between(0, 0.35), r.between(0, 1), r.between(0.02, 0.08)
	reach, shadow := r.between(0.2, 0.7), r.between(0.02, 0.12)
	fromLeft, spill := r.chance(0.5), r.between(0.15, 0.5)
	gloom := r.texture(side, 2, 2, 2)
	for i := range area {
		x, y := place(i)
		turn := float64(bend * (2*x - 1 - lamp))
		across := float32(math.Max(0.15, math.Cos(turn)))
		streak := gloss * exp(-(x-glossAt)*(x-glossAt)/(2*glossWidth*glossWidth))
		// The flame lights what is below the mouth, except under the overhanging rim.
		below := (y - t.mouth) / reach
		fire := 1 / (1 + below*below) * (0.35 + 0.65*step(0, shadow, y-t.mouth))
		if y < t.mouth {
			fire = 0.3
		}
		edge := x
		if !fromLeft {
			edge = 1 - x
		}
		near := exp(-edge / spill)
		for k := range 3 {
			p := s.paint[i][k]
			s.byHall[i][k] = t.hall * t.hallColour[k] * (p*across*(0.5+gloom[i]) + streak*0.5) / math.Pi
			s.byFire[i][k] = t.fire * t.fireColour[k] * p * fire / math.Pi
			s.byNeighbour[i][k] = t.neighbour * t.fireColour[k] * p * near / math.Pi
		}
	}
}

// lookAlikes adds fixed things that resemble a spot: a lamp mirrored in the paint, another
// furnace at the edge, a patch kept warm by the wall behind it.
func (s *shell) lookAlikes(r dice) {
	s.lit = s.mean()
	add := func(where *[area]colour, x, y, wide, high float32, c colour) {
		lumps := r.texture(side, 9, 9, 2)
		for i := range area {
			px, py := place(i)
			dx, dy := (px-x)/wide, (py-y)/high
			f := exp(-(dx*dx + dy*dy) * (0.4 + 1.6*lumps[i]))
			if f < 0.02 || !s.wall[i] && where != &s.byNeighbour {
				continue
			}
			for k := range 3 {
				where[i][k] += f * c[k]
			}
		}
	}
	level := s.lit.luma()
	if r.chance(0.3) {
		bright := level * r.decades(1, 40)
		add(&s.byHall, r.Float32(), r.between(0.2, 1), r.between(0.015, 0.05), r.between(0.02, 0.12),
			colour{1, r.between(0.7, 1), r.between(0.4, 1)}.times(bright))
	}
	if r.chance(0.25) {
		x := r.between(-0.05, 0.08)
		if r.chance(0.5) {
			x = 1 - x
		}
		add(&s.byNeighbour, x, r.between(0.1, 0.95), r.between(0.03, 0.12), r.between(0.03, 0.15),
			colour{1, r.between(0.35, 0.7), r.between(0.05, 0.3)}.times(level*r.decades(1, 100)))
	}
	if r.chance(0.25) {
		add(&s.byFire, r.between(0.1, 0.9), r.between(0.3, 0.9), r.between(0.04, 0.1), r.between(0.04, 0.1),
			colour{1, r.between(0.25, 0.5), 0.1}.times(level*r.between(0.4, 1.5)))
	}
}

// mean is the radiance of the lit wall, all lights at their usual level.
func (s *shell) mean() colour {
	var sum colour
	n := float32(0)
	for i := range area {
		if s.wall[i] && s.open[i] > 0 {
			for k := range 3 {
				sum[k] += s.byHall[i][k] + s.byFire[i][k] + s.byNeighbour[i][k]
			}
			n++
		}
	}
	return sum.times(1 / n)
}

// lights are the levels of flame and neighbours, 1 is usual.
type lights struct {
	flame, slow, neighbour float32
	pace, phase            [2]float64 // of the neighbour's slow changes, rad/s and rad
	scroll                 int        // how far the flame has risen, pixels
}

func (l *lights) build(r dice) {
	for i := range l.pace {
		l.pace[i], l.phase[i] = float64(r.decades(0.01, 0.6)), float64(r.between(0, 6))
	}
}

// advance lets the flame follow the arcs with its lag.
func (l *lights) advance(r dice, t *traits, v house.View, elapsed float64, first bool) {
	goal := float32(v.Light * (0.45 + 0.55*v.Turbulence))
	if v.Exhaust {
		goal *= 1.8
	}
	share := 1 - exp(-float32(elapsed)/t.flameLag)
	if first {
		share = 1
	}
	l.slow += share * (goal - l.slow)
	l.flame = l.slow * max(0.2, 1+r.normal(t.flameFlicker))
	wave := 0.5*math.Sin(l.pace[0]*v.Time+l.phase[0]) + 0.5*math.Sin(l.pace[1]*v.Time+l.phase[1])
	l.neighbour = max(0.1, float32(1+0.6*wave)+r.normal(0.05))
	l.scroll = r.IntN(noiseSide)
}

// illuminate sums the lights on the shell and the dull glow of an overheated one.
func (c *camera) illuminate(v house.View) {
	fire, near := c.lights.flame, c.lights.neighbour
	for i := range c.light {
		h, f, n := &c.byHall[i], &c.byFire[i], &c.byNeighbour[i]
		c.light[i] = colour{h[0] + fire*f[0] + near*n[0], h[1] + fire*f[1] + near*n[1], h[2] + fire*f[2] + near*n[2]}
	}
	c.through = c.open
	if v.Overheated <= 0 {
		return
	}
	g := c.radiance(c.dull).times(float32(v.Overheated))
	for i := range c.light {
		e := c.emissivity[i] * c.open[i]
		c.light[i][0] += e * g[0]
		c.light[i][1] += e * g[1]
		c.light[i][2] += e * g[2]
	}
}
