package spray

import (
	"math"
	"math/rand/v2"

	"meltwatch/simulator/house"
)

// air is what drifts between the camera and the shell: steam, spray mist and dust.
type air struct {
	steam     grid // optical depth
	next      grid
	rise      float32 // cells a second
	wind      float32 // cells a second, wanders
	windUsual float32
	decay     float32 // seconds until steam has mixed with the air
	yield     float32 // optical depth for each film that boils
	breath    float32 // steam from warm water, without boiling
	puffs     plane
	cloudA    plane // textures of mist and dust
	cloudB    plane
	shift     float64
	mistColor rgb
	dustColor rgb
	thickness float32 // of mist
	mist      plane   // optical depth of mist and dust, now
}

func newAir(r *rand.Rand) air {
	a := air{
		rise: uniform(r, 5, 10), windUsual: uniform(r, -4, 4), decay: uniform(r, 0.7, 1.6),
		yield: uniform(r, 1.2, 2.4), breath: uniform(r, 0.04, 0.25),
		puffs:     layered(r, [2]int{8, 8}, [2]int{4, 4}),
		cloudA:    layered(r, [2]int{32, 32}, [2]int{16, 16}, [2]int{8, 8}),
		cloudB:    layered(r, [2]int{32, 16}, [2]int{16, 8}, [2]int{4, 4}),
		thickness: uniform(r, 0.8, 1.7),
	}
	a.wind = a.windUsual
	white := uniform(r, 0.7, 1)
	a.mistColor = rgb{white, white * uniform(r, 0.97, 1.02), white * uniform(r, 0.97, 1.08)}
	a.dustColor = rgb{0.5, uniform(r, 0.42, 0.5), uniform(r, 0.34, 0.46)}
	return a
}

// memory is how long steam stays in view at most, in seconds.
const memory = 2.5

// advance carries the steam and adds what rises from the shell.
func (a *air) advance(r *rand.Rand, v house.View, s *sheet, seconds float32) {
	a.shift = v.Time
	a.wind += (a.windUsual-a.wind)*min(seconds/4, 1) + 1.5*float32(math.Sqrt(float64(min(seconds, 4)/4)))*float32(r.NormFloat64())
	left := min(seconds, memory)
	n := int(math.Ceil(float64(left / longestStep)))
	dt := left / float32(n)
	for range n {
		a.carry(a.wind*dt, a.rise*dt, exp(-dt/a.decay))
		from := r.IntN(side * side)
		for i, boil := range s.boiling {
			warm := s.temperature[i] - 65
			if warm <= 0 {
				continue
			}
			gain := a.yield*min(boil, 1.2) + a.breath*min(warm/30, 1.5)*s.film[i]
			if puff := a.puffs[(from+i)%(side*side)]; puff > 0.3 {
				a.steam[i] = min(a.steam[i]+dt*gain*4*(puff-0.3), 3)
			}
		}
	}
	a.drift(v)
}

// carry moves the steam by some cells and thins it. The flow is the same everywhere, so
// one set of weights serves all cells.
func (a *air) carry(right, up, keep float32) {
	wholeX, wholeY := int(math.Floor(float64(right))), int(math.Floor(float64(up)))
	fx, fy := right-float32(wholeX), up-float32(wholeY)
	a.next = grid{}
	for y := range cells {
		from := y + wholeY
		if from < 0 || from+1 >= cells {
			continue // clear air enters at the edges
		}
		top, bottom := from*cells, (from+1)*cells
		for x := range cells {
			l := x - wholeX - 1
			if l < 0 || l+1 >= cells {
				continue
			}
			upper := a.steam[top+l]*fx + a.steam[top+l+1]*(1-fx)
			lower := a.steam[bottom+l]*fx + a.steam[bottom+l+1]*(1-fx)
			a.next[y*cells+x] = keep * (upper*(1-fy) + lower*fy)
		}
	}
	a.steam = a.next
}

// drift moves two textures against each other, so that the mist changes as it passes.
func (a *air) drift(v house.View) {
	mist, dust := a.thickness*float32(v.Mist), float32(0)
	if v.Feeding {
		dust = 0.35
	}
	if mist == 0 && dust == 0 {
		a.mist = plane{}
		return
	}
	offset := func(x, y float64) int {
		return int(math.Mod(y*a.shift, side)+side)%side*side + int(math.Mod(x*a.shift, side)+side)%side
	}
	first, second := offset(9+float64(a.windUsual), 7), offset(-5, 12)
	for i := range a.mist {
		shape := a.cloudA[(i+first)%(side*side)] + a.cloudB[(i+second)%(side*side)]
		a.mist[i] = mist*max(0, 2.2*shape-1.4) + dust*shape
	}
}

// opacity is how much the air hides at a pixel.
func (a *air) opacity(pixel int, steam float32) float32 {
	return 1 - fade(steam+a.mist[pixel])
}

// fade is exp(−depth) to within a few per cent.
func fade(depth float32) float32 {
	d := 1 + depth*0.25
	d *= d
	return 1 / (d * d)
}

// paintAir lays steam, mist and dust over the picture, lit by the lamp and the flame.
func (c *camera) paintAir(v house.View) {
	l := &c.light
	flame := max(l.flicker, 0)
	dusty := float32(0)
	if v.Feeding {
		dusty = 1 - min(float32(v.Mist)*3, 1)
	}
	var base, warm rgb
	for k := range base {
		color := c.air.mistColor[k] + (c.air.dustColor[k]-c.air.mistColor[k])*dusty
		// Mist scatters light from all sides, so it is brighter than the shell.
		base[k], warm[k] = color*(0.75*l.lamp[k]*l.lampNow+0.9*l.sky[k]), color*0.5*l.flame[k]*flame
	}
	for i := range side * side {
		depth := c.steam[i] + c.air.mist[i]
		if depth < 0.005 {
			continue
		}
		clear := fade(depth)
		near := 1 / (1 + 3*float32(i/side)/side)
		to := &c.image[i]
		for k := range to {
			to[k] = to[k]*clear + (base[k]+warm[k]*near)*(1-clear)
		}
	}
}
