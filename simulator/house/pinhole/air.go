package pinhole

import (
	"math"

	"meltwatch/simulator/house"
)

const tile = 128 // side of the billows' texture, which goes on mirrored

// air is all that moves before the shell: flame, dust, mist, sparks, hook and workers.
type air struct {
	seed                           uint32
	billow                         [tile * tile]float64
	tongues                        [pixels]vec // of the flame: mouth radii across and above; z 1 where open
	flame, cool, warm              vec         // light of it; on what is before the shell: steady, and from the fire
	rush, dust, dustiness          float64     // how exhaust raises the flame; share that is dust now, when feeding
	driftX, driftY, mouthX, mouthY float64     // of the mist, pixels a second; pixels
	swing, pace                    float64     // of the daylight; seconds
	hookX, hookY, hookAt, trip     float64     // pixels (no hook at 0); its swing, radians a second; crane's round
	metre, feet, gait              float64     // pixels; row of the workers' floor; radians a second
	coat, helmet                   vec
	shiny                          float64 // of the coat's bands
	passing                        bool
}

func newAir(r dice, c *Camera) air {
	w := &c.world
	a := air{
		seed: r.Uint32(), flame: c.from.colour[fire].scale(r.in(2, 9)), rush: r.in(1.3, 1.9), dustiness: r.in(0.1, 0.6),
		driftX: r.in(-15, 15), driftY: r.in(3, 25), swing: r.in(0, 0.4), pace: r.in(200, 1500), gait: r.in(3, 5),
		hookX: r.in(0, side), hookY: max(0, r.in(-80, 45)), hookAt: r.in(0.8, 2), trip: r.in(80, 600),
	}
	for i := range a.billow {
		a.billow[i] = rough(float64(i%tile)/20, float64(i/tile)/20, a.seed)
	}
	a.mouthX, a.mouthY = w.project(upward.scale(w.height))
	near := vec{0, 0, r.in(1.3, 2.4) * w.radius}
	_, a.feet = w.project(near)
	_, head := w.project(near.add(upward))
	a.metre = max(a.feet-head, 8)
	for i := range pixels {
		for _, k := range [...]int{day, lampA, lampB, pit} {
			a.cool = a.cool.add(c.light[k][i].dim(2).scale(1.0 / pixels))
		}
		a.warm = a.warm.add(c.light[fire][i].dim(2).scale(1.0 / pixels))
		d := w.ray(float64(i%side)+0.5, float64(i/side)+0.5)
		t := -w.eye.z / d.z
		p := w.eye.add(d.scale(t)).sub(upward.scale(w.height)).scale(1 / w.radius)
		if p.y > -0.3 && p.y < 3 && math.Abs(p.x) < 1.2 && c.hits[i].far > t {
			a.tongues[i] = vec{p.x, p.y, 1}
		}
	}
	return a
}

// puff is the billows' texture at a place in pixels.
func (a *air) puff(x, y float64) float64 {
	u, v := int(x)&(2*tile-1), int(y)&(2*tile-1)
	return a.billow[min(v, 2*tile-1-v)*tile+min(u, 2*tile-1-u)]
}

// draw lays everything over the shell, the farthest first.
func (a *air) draw(c *Camera, v house.View, dt float64) {
	light, high, dust := a.cool.add(a.warm.scale(c.fire)), 0.1+0.8*c.fire, 0.0
	if v.Exhaust {
		high *= a.rush
	}
	if v.Feeding {
		dust = a.dustiness
	}
	a.dust += (dust - a.dust) * (1 - math.Exp(-dt/4))
	if c.fire > 0.02 {
		a.burn(c, high, v.Time)
	}
	if a.hookY > 0 {
		a.hang(c, v.Time)
	}
	if v.Passes {
		a.walk(c, v, light)
	}
	if a.passing = v.Passes; v.Mist > 0 || a.dust > 0.01 {
		a.cloud(c, v, light)
	}
	a.spray(c, v)
}

// burn draws the flame at the mouth, some mouth radii high.
func (a *air) burn(c *Camera, high, t float64) {
	for i, p := range a.tongues {
		if p.z > 0 && p.y < high*1.3 {
			n := a.puff(60+p.x*40, 1e6+p.y*26-50*t) + 0.5*a.puff(p.x*90, 1e6+p.y*60-110*t) - 0.25
			d := step(0, 0.45, 1-p.y/high-p.x*p.x*0.9+1.3*(n-0.6)) * step(-0.3, 0.1, p.y)
			c.cover(i, a.flame.scale(0.4+0.8*n), 0.85*d)
		}
	}
}

// hang swings a crane's hook, dark, in and out of the crop on the crane's round.
func (a *air) hang(c *Camera, t float64) {
	middle := a.hookX + 0.8*side*math.Sin(2*math.Pi*t/a.trip+a.hookX)
	for y := range int(a.hookY) + 6 {
		x, wide := middle+0.06*float64(y)*math.Sin(a.hookAt*t), 0.6
		if below := float64(y) - a.hookY; below > 0 {
			wide = 1 + 2.2*math.Sin(math.Pi*below/6)
		}
		for px := max(int(x-wide), 0); px <= min(int(x+wide), side-1); px++ {
			c.cover(y*side+px, a.cool.scale(0.15), 0.85)
		}
	}
}

// walk draws a worker: helmet, coat with bright bands, legs in stride.
func (a *air) walk(c *Camera, v house.View, light vec) {
	if !a.passing {
		a.coat, a.shiny = vec{c.r.in(0.05, 0.5), c.r.in(0.05, 0.4), c.r.in(0.05, 0.4)}, c.r.in(0, 2)
		a.helmet = vec{c.r.in(0.1, 0.9), c.r.in(0.1, 0.9), c.r.in(0.1, 0.8)}
	}
	swing := 0.3 * math.Sin(a.gait*v.Time)
	for i := range pixels {
		tall, across := (a.feet-float64(i/side)-0.5)/a.metre, (float64(i%side)+0.5-v.Passer*side)/a.metre
		aside, colour, body := math.Abs(across), a.coat, false
		switch {
		case tall > 1.62:
			body, colour = math.Hypot(across, (tall-1.63)*0.85) < 0.125, a.helmet
		case tall > 1.5:
			body, colour = aside < 0.1, vec{0.35, 0.22, 0.17}
		case tall > 0.8:
			trunk := aside < 0.24-0.1*step(1.35, 1.5, tall)
			body = trunk || math.Abs(aside-0.29+0.1*swing) < 0.06 && tall < 1.4
			if trunk && (math.Abs(tall-1.1) < 0.03 || math.Abs(tall-1.28) < 0.03) {
				colour = colour.mix(vec{1, 1, 0.85}, min(a.shiny, 1)).scale(1 + a.shiny)
			}
		case tall > 0:
			body, colour = math.Abs(aside-math.Abs(swing)*(0.85-tall)) < 0.1, a.coat.scale(0.6)
		}
		if body {
			c.cover(i, colour.times(light).scale(1.3+1.7*step(-0.3, 0.3, across*a.driftX)), 1)
		}
	}
}

// cloud lays dust and mist over the picture.
func (a *air) cloud(c *Camera, v house.View, light vec) {
	dim, bright, t := light.times(vec{0.9, 0.76, 0.6}), light.mix(white.scale(light.luma()), 0.5).scale(1.9), v.Time
	for i := range pixels {
		x, y := 1e6+float64(i%side), 1e6+float64(i/side)
		n := a.puff(x-a.driftX*t, y+a.driftY*t)
		c.cover(i, dim, min(a.dust*(0.5+n), 0.8))
		n = 0.6*n + 0.4*a.puff(1.7*x-2*a.driftX*t, 1.7*y+3*a.driftY*t)
		c.cover(i, bright, 0.92*v.Mist*(0.25+0.75*step(0.3, 0.7, n+0.35*v.Mist-0.15)))
	}
}

// spray throws sparks from the mouth, or from the top edge when the mouth is out of sight.
func (a *air) spray(c *Camera, v house.View) {
	x, y := min(max(a.mouthX, 4), side-4), min(max(a.mouthY, -3), side*0.6)
	for n := range uint32(16*v.Sparks + 0.5) {
		life := 0.5 + 0.9*lattice(n, 0, a.seed)
		turn, age := math.Modf(v.Time/life + float64(n)*0.37)
		k := uint32(int64(turn))
		start, across, up := 24*lattice(n, k, a.seed+3)-12, 60*lattice(n, k, a.seed+1)-30, 45*lattice(n, k, a.seed+2)
		for s := range 3 { // a short streak
			at := max(age*life-0.02*float64(s), 0)
			c.emit(int(x+start+across*at), int(y-up*at+70*at*at), vec{1, 0.62, 0.25}.scale(5*(1-age)/float64(1+s)))
		}
	}
}
