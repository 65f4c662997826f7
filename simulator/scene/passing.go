package scene

import (
	"math"

	"meltwatch/simulator/furnace"
)

// veil lays mist and dust over the cells: it takes from what lies behind and
// adds the light that it scatters.
func (c *canvas) veil(p furnace.Picture, s *smoke) {
	ox, oy := int(p.MistX*Side), int(-p.MistY*Side)
	for y := range c.area.h {
		for x := range c.area.w {
			n := y*c.area.w + x
			d := (s.at(x+c.area.x+ox, y+c.area.y+oy) - 0.40) * 4
			m := float32(p.Mist)*min(max(d, 0), 1) + 0.4*float32(p.Dust)
			for i := range 3 {
				lit := c.light[i][n]
				c.light[i][n] *= 1 - m
				c.glow[i][n] += m * (0.75*lit - c.glow[i][n])
			}
		}
	}
}

// passer draws a worker in front of the shell: dark clothes, a pale helmet.
func (c *canvas) passer(p furnace.Picture) {
	for y := range c.area.h {
		v := float64(c.area.y+y) / Side
		for x := range c.area.w {
			u := float64(c.area.x+x)/Side - p.Passer
			body, helmet := figure(u, v)
			if body == 0 {
				continue
			}
			n := y*c.area.w + x
			shade := float32(0.10 + 0.5*helmet)
			for i := range 3 {
				lit := c.light[i][n]
				c.light[i][n] *= float32(1 - body)
				c.glow[i][n] += float32(body) * (shade*0.6*lit - c.glow[i][n])
			}
		}
	}
}

// figure says how far (u, v), from the middle of a worker, is covered by him.
func figure(u, v float64) (body, helmet float64) {
	head := math.Hypot(u/0.055, (v-0.38)/0.07)
	trunk := max(math.Abs(u)/0.115, math.Abs(v-0.78)/0.33)
	body = max(smooth((1.1-head)/0.25), smooth((1.05-trunk)/0.2))
	if v < 0.37 {
		helmet = smooth((1.1 - head) / 0.25)
	}
	return body, helmet
}

// sparks throws burning drops from the rim; each is known by its number, so that
// a picture needs no memory of the last one.
func (c *canvas) sparks(p furnace.Picture, time float64, seed uint64) {
	const life, perSecond = 0.9, 40
	last := int32(time * perSecond)
	for k := last - int32(life*perSecond); k <= last; k++ {
		if hash(k, 1, uint32(seed)) > p.Sparks {
			continue
		}
		age := time - float64(k)/perSecond
		x := hash(k, 2, uint32(seed)) + (hash(k, 3, uint32(seed))-0.5)*1.2*age
		y := rim + (hash(k, 4, uint32(seed))-0.35)*0.7*age + 0.9*age*age
		n, ok := c.index(int(math.Floor(x*Side)), int(math.Floor(y*Side)))
		if !ok {
			continue
		}
		shine := float32(1.6 * (1 - age/life))
		c.glow[0][n] += shine
		c.glow[1][n] += shine * 0.7
		c.glow[2][n] += shine * 0.3
	}
}
