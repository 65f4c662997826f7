package nightcam

import (
	"math"

	"meltwatch/simulator/house"
)

// mark is a bright place that is there from the first frame and says nothing: a fitting
// that is always hot, or the diodes' or the daylight's reflection on wet or bare metal.
type mark struct {
	patch   patch
	hot     float64 // kelvin; 0 for a reflection
	level   float64 // light of a reflection
	glitter float64 // share of a reflection that comes and goes, 0–1
	rate    float64 // Hz of the glitter
	phase   float64
}

// newMarks draws none to four of them.
func newMarks(d dice, g grain, s *shell, m mode) (marks []mark) {
	if !d.chance(0.75) {
		return nil
	}
	for range 1 + d.IntN(4) {
		size := int(d.logBetween(4, 70))
		x, y := s.clearPlace(d, math.Sqrt(float64(size)/math.Pi)/house.Side)
		k := mark{patch: newPatch(d, g, x, y, size), phase: d.between(0, 2*math.Pi), rate: d.logBetween(0.05, 6)}
		if d.chance(0.45) {
			k.hot = s.reference + d.between(-110, 190)
		} else {
			k.level = d.logBetween(0.25, 4)
			if m == day {
				k.level *= 0.7
			}
			if d.chance(0.5) {
				k.glitter = d.between(0.1, 0.9)
			}
		}
		marks = append(marks, k)
	}
	return marks
}

// drawMarks adds the fixed bright places.
func (c *Camera) drawMarks(v house.View) {
	for n := range c.marks {
		k := &c.marks[n]
		wave := math.Sin(2*math.Pi*k.rate*c.time + k.phase)
		for rank, i := range k.patch {
			out := float64(rank) / float64(len(k.patch))
			if k.hot > 0 {
				// It cools only slowly while the furnace is off.
				t := k.hot - 70*out + 8*wave - 160*(1-v.Light)
				c.addGlow(i, t, 0.8*ramp(out, 1.1, 0.8))
				continue
			}
			x, y := place(i)
			sparkle := 1 - k.glitter*ramp(c.grain.at(4*x+0.31*c.time*k.rate, 4*y)+0.25*wave, 0.3, 0.7)
			source := c.shell.beam[i] + c.ambient + c.daylight*c.door*c.shell.door[i]
			for b := range c.bands {
				c.light[b][i] += k.level * source * sparkle * (1 - 0.7*out)
			}
		}
	}
}

// drawEmber makes a cinder glow: hotter than its level first, and dying unevenly.
func (c *Camera) drawEmber(v house.View) {
	if v.Ember <= 0 {
		return
	}
	level := clip(v.Ember, 0, 1)
	radius := (0.9 + 2.6*math.Sqrt(level)) / house.Side
	centre := c.reference + 240*level - 150 + 15*c.dice.NormFloat64()
	reach := int(2*radius*house.Side) + 1
	middle := pixel(v.EmberX, v.EmberY)
	if middle < 0 {
		return
	}
	for j := -reach; j <= reach; j++ {
		for i := -reach; i <= reach; i++ {
			row, col := middle/wide+j, middle%wide+i
			if row < 0 || col < 0 || row >= wide || col >= wide {
				continue
			}
			p := row*wide + col
			x, y := place(p)
			out := math.Hypot(x-v.EmberX, y-v.EmberY) / radius
			out *= 1 + 0.7*(c.grain.at(2*x+v.EmberY, 2*y+v.EmberX)-0.5)
			if out < 1.2 && c.shell.on[p] {
				c.addGlow(p, centre-90*out*out, ramp(out, 1.2, 0.8))
			}
		}
	}
}
