package analogue

import (
	"math"

	"meltwatch/simulator/house"
)

const (
	toneSteps = 1024
	fullWell  = 4.0 // charge that a photosite holds, 1 is white
)

// iris is the exposure and white balance, which follow the picture with a lag.
type iris struct {
	stops, speed float64                // log2 of the gain, and its change a second
	usual        float64                // stops for the lit shell
	balance      colour                 // gains of white balance
	gain         colour                 // of this frame, per cd/m²
	noise        float32                // of this frame, from the sensor
	table        [2 * toneSteps]float32 // toneSteps + 1 are used
}

// advance moves the motor of the iris: a second-order servo on the logarithm of the
// metered level. An underdamped one overshoots after a flare.
func (r *iris) advance(t *traits, lit colour, flame float32, grid *[coarse * coarse]colour,
	v house.View, elapsed float64, first bool) {
	mean := average(grid)
	if first {
		r.tabulate(t)
		r.usual = math.Log2(float64(t.target / lit.luma()))
		r.stops = r.usual
		for range 8 {
			r.stops = r.within(r.stops + 0.7*math.Log2(float64(t.target)/r.level(t, grid, flame)))
		}
		r.balance = wanted(t, mean)
	}
	wish := math.Log2(float64(t.target) / r.level(t, grid, flame))
	goal := r.within(r.stops + wish)
	const tick = 0.04
	w, z := float64(t.irisSpeed), float64(t.irisDamping)
	for left := min(elapsed, 30); left > 1e-9; left -= tick {
		d := min(left, tick)
		r.speed += d * (w*w*(goal-r.stops) - 2*z*w*r.speed)
		r.stops += d * r.speed
	}
	follow := 1 - exp(-float32(elapsed)/t.balanceLag)
	want := wanted(t, mean)
	drift := t.drift * float32(math.Sin(2*math.Pi*v.Time/float64(t.driftPeriod)))
	push := float32(v.Exposure)
	gain := float32(math.Exp2(r.stops)) * exp(math.Ln2*t.push*push)
	tint := exp(math.Ln2*t.pushCast*push + drift)
	for b := range 3 {
		r.balance[b] += follow * (want[b] - r.balance[b])
		r.gain[b] = gain * r.balance[b] * t.cast[b]
	}
	r.gain[0] *= tint
	r.gain[2] /= tint
	// Once the iris is open, the amplifier lifts signal and noise alike.
	r.noise = t.sensorNoise * float32(max(1, math.Exp2(r.stops-r.usual-0.3)))
}

// within holds the gain to what iris and amplifier can do.
func (r *iris) within(stops float64) float64 { return max(r.usual-5, min(r.usual+2, stops)) }

// average is the mean colour of the picture.
func average(grid *[coarse * coarse]colour) (mean colour) {
	for i := range grid {
		for b := range 3 {
			mean[b] += grid[i][b] / (coarse * coarse)
		}
	}
	return mean
}

// level is what the meter reads at the present gain: clipped, so that a small white thing
// does not close the iris altogether.
func (r *iris) level(t *traits, grid *[coarse * coarse]colour, flame float32) float64 {
	gain := float32(math.Exp2(r.stops))
	sum, weights := float32(0), float32(0)
	for i := range grid {
		// Backlight compensation heeds the top, where the flame is, less.
		weight := float32(1)
		if i < 2*coarse {
			weight = t.topWeight
		}
		sum += weight * min(1.3, gain*grid[i].luma())
		weights += weight
	}
	sum /= weights
	return float64(max(1e-4, sum*(1-t.flameMeter+t.flameMeter*(0.3+0.7*flame))))
}

// wanted is the white balance that partly removes the colour of the picture.
func wanted(t *traits, mean colour) (g colour) {
	for b := range 3 {
		ratio := max(0.2, min(5, mean.luma()/max(mean[b], 1e-6)))
		g[b] = float32(math.Pow(float64(ratio), float64(t.balance)))
	}
	return g
}

// tabulate holds knee, clip and gamma by the root of the level, where steps are even
// enough for the eye.
func (r *iris) tabulate(t *traits) {
	for i := range toneSteps + 1 {
		root := float64(i) / toneSteps * math.Sqrt(fullWell)
		v := root * root
		if k := float64(t.knee); v > k {
			v = k + (v-k)*0.12
		}
		r.table[i] = float32(math.Pow(min(v, 1.08), float64(t.gamma)))
	}
}

// tone is the voltage of a charge.
func (r *iris) tone(charge float32) float32 {
	const scale = toneSteps / 2 // 2 is the root of fullWell
	if charge >= fullWell {
		return r.table[toneSteps]
	}
	if charge <= 0 {
		return r.table[0]
	}
	return r.table[int(scale*sqrt(charge))&(2*toneSteps-1)]
}

// expose turns radiance into charge, lets it bloom and smear down the columns, and writes
// luma and chroma to the coder. What exceeds the full well spills to the neighbours above
// and below; what a bright place leaks during transfer is smeared over its whole column
// (Theuwissen 1995).
func (c *camera) expose() {
	var column [side]float32
	gain, spills := c.iris.gain, false
	for y := range side {
		for x := range side {
			l := &c.light[y*side+x]
			l[0], l[1], l[2] = l[0]*gain[0], l[1]*gain[1], l[2]*gain[2]
			most := l[0]
			if l[1] > most {
				most = l[1]
			}
			if l[2] > most {
				most = l[2]
			}
			if most > fullWell {
				spills = true
				most = min(most, 60)
			}
			column[x] += most
		}
	}
	if spills {
		c.bloom()
	}
	// The flame above the crop smears too, all columns alike.
	above := c.lights.flame * c.smear * 0.3
	for x := range column {
		column[x] = column[x]/side*c.smear*4 + above
	}
	p := c.signal.pair
	for y := range side {
		below := clamp(y+1) * side
		for x := range side {
			i := y*side + x
			l, n, s := &c.light[i], &c.light[below+x], column[x]
			r := c.iris.tone(l[0] + p*(n[0]-l[0]) + s)
			g := c.iris.tone(l[1] + p*(n[1]-l[1]) + s)
			b := c.iris.tone(l[2] + p*(n[2]-l[2]) + s)
			luma := 0.299*r + 0.587*g + 0.114*b
			c.signal.y[i] = luma
			c.signal.u[i], c.signal.v[i] = 0.492*(b-luma), 0.877*(r-luma)
		}
	}
}

// bloom carries the excess of each column down and up. A drain takes most of it.
func (c *camera) bloom() {
	const kept = 0.3
	var down, up [side]float32
	for y := range side {
		for x := range side {
			spill(&c.light[y*side+x], &down[x], kept)
			spill(&c.light[(side-1-y)*side+x], &up[x], kept)
		}
	}
}

func spill(l *colour, carried *float32, kept float32) {
	if *carried > 0 {
		l[0], l[1], l[2] = l[0]+*carried, l[1]+*carried, l[2]+*carried
	}
	*carried = max(0, min(40, max(l[0], l[1], l[2])-fullWell)) * kept
}
