package emission

import (
	"math"
	"math/rand/v2"
)

const (
	cells       = 16 // of the glare and metering grid, a side
	cell        = side / cells
	toneSteps   = 4096
	noiseLength = 1 << 13
	controlStep = 0.04 // seconds of the exposure loop
	castTime    = 45.0 // seconds of slow exposure wander
)

// lens spreads light: a small kernel, whose centre trembles with the camera, and a wide
// glare. mean is the light of each cell as the meter takes it.
type lens struct {
	width, tremble, glare float32
	mean                  [cells * cells][3]float32
	rows                  plane
}

func newLens(rng *rand.Rand) lens {
	l := lens{width: float32(between(rng, 0.05, 0.27)), glare: float32(math.Exp(between(rng, math.Log(0.01), math.Log(0.2))))}
	if rng.Float64() < 0.5 {
		l.tremble = float32(between(rng, 0.05, 0.3))
	}
	return l
}

func (l *lens) blur(f *plane, rng *rand.Rand) {
	const row = 3 * side
	dx, dy := l.tremble*float32(rng.NormFloat64()), l.tremble*float32(rng.NormFloat64())
	a, b, c := l.taps(dx)
	for y := range side {
		in, out := f[y*row:y*row+row], l.rows[y*row:y*row+row]
		for k := range 3 {
			out[k] = (a+b)*in[k] + c*in[k+3]
			out[row-3+k] = a*in[row-6+k] + (b+c)*in[row-3+k]
		}
		for i := 3; i < row-3; i++ {
			out[i] = a*in[i-3] + b*in[i] + c*in[i+3]
		}
	}
	a, b, c = l.taps(dy)
	for y := range side {
		up, in, down := l.rows[max(y-1, 0)*row:], l.rows[y*row:], l.rows[min(y+1, side-1)*row:]
		out := f[y*row : y*row+row]
		for i := range out {
			out[i] = a*up[i] + b*in[i] + c*down[i]
		}
	}
	l.flood(f)
}

func (l *lens) taps(shift float32) (a, b, c float32) {
	w := l.width
	shift = min(max(shift, -w), w)
	return w + shift, 1 - 2*w, w - shift
}

// flood measures the cells and mixes their blurred light into the frame.
func (l *lens) flood(f *plane) {
	var grid, wide [cells * cells][3]float32
	for i := range grid {
		at := 3 * (i/cells*cell*side + i%cells*cell)
		var sum [3]float32
		for y := range cell {
			r := f[at+3*side*y : at+3*side*y+3*cell]
			for x := 0; x < 3*cell; x += 3 {
				sum[0] += r[x]
				sum[1] += r[x+1]
				sum[2] += r[x+2]
			}
		}
		for k := range sum {
			grid[i][k] = sum[k] / (cell * cell)
		}
	}
	l.mean = grid
	for range 2 {
		for i := range grid {
			x, y := i%cells, i/cells
			left, right := y*cells+max(x-1, 0), y*cells+min(x+1, cells-1)
			up, down := max(y-1, 0)*cells+x, min(y+1, cells-1)*cells+x
			for k := range 3 {
				wide[i][k] = 0.2 * (grid[i][k] + grid[left][k] + grid[right][k] + grid[up][k] + grid[down][k])
			}
		}
		grid = wide
	}
	for y := range side {
		fy := (float32(y)+0.5)/cell - 0.5
		y0 := max(int(fy), 0)
		y1 := min(y0+1, cells-1)
		fy = min(max(fy-float32(y0), 0), 1)
		var line [cells + 1][3]float32
		for x := range cells {
			for k := range 3 {
				a := grid[y0*cells+x][k]
				line[x][k] = l.glare * (a + fy*(grid[y1*cells+x][k]-a))
			}
		}
		line[cells] = line[cells-1]
		for x := range side {
			fx := (float32(x)+0.5)/cell - 0.5
			x0 := max(int(fx), 0)
			fx = min(max(fx-float32(x0), 0), 1)
			a, b := &line[x0], &line[x0+1]
			p := f[3*(y*side+x) : 3*(y*side+x)+3]
			for k := range p {
				p[k] = p[k]*(1-l.glare) + a[k] + fx*(b[k]-a[k])
			}
		}
	}
}

// sensor turns radiance into 0–255 by exposure, clipping, white balance and tone curve.
type sensor struct {
	key, strength, push float64 // exposure: aim, how fully it is reached, stops of a push
	speed, damping      float64 // of the exposure loop: radians a second, 1 = no overshoot
	stops, rate         float64 // present exposure in powers of 2, and its speed
	slow, slowSpread    float64 // its slow wander, stops
	base                [3]float64
	cast                [2]float64 // present logarithmic gains of red and blue
	castSpread, castTau float64
	pushCast            [2]float64 // how a pushed exposure colours the picture
	balance             [3]float32
	neutral             bool // clipped light stays white
	readNoise, shot     float32
	noise               [noiseLength]float32
	tone                [toneSteps]float32
}

func newSensor(rng *rand.Rand, s *scene) sensor {
	c := sensor{
		key: math.Exp(between(rng, math.Log(0.07), math.Log(0.4))), strength: between(rng, 0.55, 1), push: between(rng, 1.4, 3.4),
		speed: math.Exp(between(rng, 0.2, 2)), damping: between(rng, 0.3, 1.1), slowSpread: between(rng, 0.05, 0.6),
		castSpread: between(rng, 0.02, 0.1), castTau: between(rng, 15, 120),
		pushCast: [2]float64{between(rng, -0.1, 0.5), between(rng, -0.5, 0.1)},
		neutral:  rng.Float64() < 0.6, readNoise: float32(between(rng, 0.0005, 0.006)), shot: float32(between(rng, 0.0001, 0.0016)),
	}
	if rng.Float64() < 0.4 { // a white balance that hunts
		c.castSpread, c.castTau = between(rng, 0.2, 0.6), between(rng, 2, 40)
	}
	adapted := between(rng, 0.5, 1)
	for k := range c.base {
		c.base[k] = -adapted*math.Log(s.lamp[k]) + 0.12*rng.NormFloat64()
	}
	for i := range c.noise {
		c.noise[i] = float32(rng.NormFloat64())
	}
	c.curve(rng)
	return c
}

// curve draws the tone curve: logarithmic, S-shaped or a power.
func (c *sensor) curve(rng *rand.Rand) {
	kind, a := rng.IntN(3), rng.Float64()
	black, top := between(rng, 0, 22), between(rng, 225, 255)
	for i := range c.tone {
		x := float64(i) / (toneSteps - 1)
		y := math.Pow(x, 1/(1.7+0.9*a))
		switch kind {
		case 0:
			k := math.Exp(2.3 + 3*a)
			y = math.Log1p(k*x) / math.Log1p(k)
		case 1:
			k := 1.3 + 0.8*a
			up, down := math.Pow(y, k), math.Pow(1-y, k)
			y = up / (up + down)
		}
		c.tone[i] = float32(black + (top-black)*y)
	}
}

// meter is the exposure that the cells' light asks for, in stops, pushed by so many.
func (c *sensor) meter(mean [cells * cells][3]float32, push float64) float64 {
	top := 3 / math.Exp2(c.stops-push) // clipped cells count no more
	sum, weight := 0.0, 0.0
	for i, m := range mean {
		x, y := float64(i%cells)/cells-0.5, float64(i/cells)/cells-0.5
		w := 1 - 1.2*(x*x+y*y)
		sum += w * min(0.4*float64(m[0])+0.45*float64(m[1])+0.15*float64(m[2]), top)
		weight += w
	}
	return math.Log2(c.key) - c.strength*math.Log2(sum/weight+0.002) + push
}

func (c *sensor) settle(mean [cells * cells][3]float32) {
	c.stops = math.Log2(c.key)
	for range 8 {
		c.stops = c.meter(mean, 0)
	}
}

// adapt moves exposure and white balance by dt.
func (c *sensor) adapt(dt, pushed float64, mean [cells * cells][3]float32, rng *rand.Rand) {
	keep := math.Exp(-dt / castTime)
	c.slow = keep*c.slow + c.slowSpread*math.Sqrt(1-keep*keep)*rng.NormFloat64()
	aim := c.meter(mean, c.push*pushed+c.slow)
	for left := dt; left > 0; left -= controlStep {
		h := min(left, controlStep)
		c.rate += h * (c.speed*c.speed*(aim-c.stops) - 2*c.damping*c.speed*c.rate)
		c.stops += h * c.rate
	}
	c.stops = min(max(c.stops, -9), 7)
	keep = math.Exp(-dt / c.castTau)
	for k := range c.cast {
		c.cast[k] = keep*c.cast[k] + c.castSpread*math.Sqrt(1-keep*keep)*rng.NormFloat64()
	}
	gain := [3]float64{c.base[0] + c.cast[0] + c.pushCast[0]*pushed, c.base[1], c.base[2] + c.cast[1] + c.pushCast[1]*pushed}
	shift := (gain[0] + gain[1] + gain[2]) / 3
	if c.neutral {
		shift = min(gain[0], gain[1], gain[2])
	}
	for k := range gain {
		c.balance[k] = float32(math.Exp(min(max(gain[k]-shift, -1.1), 1.5)))
	}
}

// blind is the weakest channel's radiance from which all channels clip.
func (c *sensor) blind() float32 {
	weakest := min(c.balance[0], c.balance[1], c.balance[2])
	return float32(math.Exp2(-c.stops)) / max(weakest, 1)
}

func (c *sensor) read(f *plane, rng *rand.Rand) {
	gain := float32(math.Exp2(c.stops))
	iso := float32(min(math.Exp2(0.5*c.stops), 4)) // more gain shows more noise
	at := rng.IntN(noiseLength)
	for p := 0; p < len(f); p += 3 {
		sigma := iso * float32(math.Sqrt(float64(c.readNoise*c.readNoise+c.shot*min(f[p+1]*gain, 1))))
		for k := range 3 {
			x := min(f[p+k]*gain+sigma*c.noise[(at+p+k)%noiseLength], 1)
			x = min(max(x, 0)*c.balance[k], 1)
			f[p+k] = c.tone[int(x*(toneSteps-1))]
		}
	}
}
