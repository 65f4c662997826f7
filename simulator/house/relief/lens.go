package relief

import (
	"math"
	"math/rand/v2"
)

// lens is the camera up to its sensor: the mount that shakes, the window with its dirt,
// the optics that blur and scatter.
type lens struct {
	// A rolling shutter reads row after row, so a shaking mount shifts rows apart.
	shake, rate, skew float64
	glare             float32
	focus             float32 // share of each neighbour's light
	dirt              field
	work              picture
}

func newLens(r *rand.Rand) lens {
	l := lens{
		shake: math.Max(0, 0.5*r.NormFloat64()), rate: 3 + 20*r.Float64(), skew: 0.06 * r.Float64(),
		glare: between(r, 0.005, 0.06), focus: between(r, 0, 0.16),
	}
	seed, dirty := r.Uint32(), max(0, between(r, -0.25, 0.5))
	for i := range l.dirt {
		x, y := float32(i%side)/side, float32(i/side)/side
		l.dirt[i] = dirty * ramp(0.5, 0.8, fractal(seed, 3*x, 3*y, 3))
	}
	return l
}

// pass changes the light of c to what reaches the sensor.
func (l *lens) pass(t float64, c *camera) {
	l.scatter(&c.light)
	sharp := 1 - 2*l.focus
	for y := range side {
		shift := l.shake * math.Sin(2*math.Pi*l.rate*t+l.skew*float64(y))
		whole := int(math.Floor(shift))
		part := float32(shift - math.Floor(shift))
		row := l.work[y*side : (y+1)*side]
		var seen [side]float32
		for x := range side {
			a, b := min(max(x+whole, 0), side-1), min(max(x+whole+1, 0), side-1)
			centre := row[a].times(1 - part).plus(row[b].times(part))
			around := row[max(a-1, 0)].plus(row[min(b+1, side-1)])
			c.light[y*side+x] = centre.times(sharp).plus(around.times(l.focus))
			seen[x] = (1-part)*c.seen[y*side+a] + part*c.seen[y*side+b]
		}
		copy(c.seen[y*side:], seen[:])
	}
	for x := range side {
		above := c.light[x]
		for y := range side {
			i := y*side + x
			here, below := c.light[i], c.light[min(y+1, side-1)*side+x]
			c.light[i] = here.times(sharp).plus(above.plus(below).times(l.focus))
			above = here
		}
	}
}

// scatter puts the light of the picture, as dirt and optics spread it, into work. A wide
// blur is computed on a quarter of the pixels.
func (l *lens) scatter(light *picture) {
	l.work = *light
	blur(&l.work, 8)
	blur(&l.work, 8)
	for i := range l.work {
		share := l.glare + 0.6*l.dirt[i]
		l.work[i] = light[i].times(1 - share).plus(l.work[i].times(share))
	}
}
