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
	veil              coarse
}

func newLens(r *rand.Rand) lens {
	l := lens{
		shake: math.Max(0, 0.5*r.NormFloat64()), rate: 3 + 20*r.Float64(), skew: 0.06 * r.Float64(),
		glare: between(r, 0.005, 0.06), focus: between(r, 0, 0.14),
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
	for y := range side {
		shift := l.shake * math.Sin(2*math.Pi*l.rate*t+l.skew*float64(y))
		whole := int(math.Floor(shift))
		l.shift(y, whole, float32(shift-math.Floor(shift)), c)
	}
	if l.focus < 0.01 {
		c.light = l.work
		return
	}
	sharp := 1 - 4*l.focus
	for y := range side {
		row := l.work[y*side:][:side]
		up, down := l.work[max(y-1, 0)*side:][:side], l.work[min(y+1, side-1)*side:][:side]
		out := c.light[y*side:][:side]
		for x := range row {
			left, right := &row[max(x-1, 0)], &row[min(x+1, side-1)]
			for k := range 3 {
				out[x][k] = sharp*row[x][k] + l.focus*(left[k]+right[k]+up[x][k]+down[x][k])
			}
		}
	}
}

// shift moves a row, and what is seen in it, by a whole number of pixels and a part of one.
func (l *lens) shift(y, whole int, part float32, c *camera) {
	if whole == 0 && part < 0.02 {
		return
	}
	var row [side]rgb
	var seen [side]float32
	copy(row[:], l.work[y*side:])
	copy(seen[:], c.seen[y*side:])
	for x := range side {
		a, b := min(max(x+whole, 0), side-1), min(max(x+whole+1, 0), side-1)
		for k := range 3 {
			l.work[y*side+x][k] = (1-part)*row[a][k] + part*row[b][k]
		}
		c.seen[y*side+x] = (1-part)*seen[a] + part*seen[b]
	}
}

// scatter puts the light of the picture, as dirt and optics spread it, into work.
func (l *lens) scatter(light *picture) {
	l.veil.spread(light, 2)
	for i := range l.work {
		share := l.glare + 0.6*l.dirt[i]
		veil := l.veil.at(i%side, i/side)
		for k := range veil {
			l.work[i][k] = light[i][k] + share*(veil[k]-light[i][k])
		}
	}
}
