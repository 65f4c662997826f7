package nightcam

import (
	"math"

	"meltwatch/simulator/house"
)

// seenContrast is the least change, in grey levels of 255, by which a pixel of the spot
// counts as seen.
const seenContrast = 6

// sensor turns light into grey levels: lens, automatic gain, noise and tone curve.
type sensor struct {
	gain, least, most float64
	settled           bool
	raw               [3][]float64 // pixels of the crop, 1 is full scale
	excess, spread    []float64    // light beyond full scale, and where the lens throws it
	columns           [house.Side]float64
	curve             [toneSteps + 1]float64 // of the tone, by the root of the light
}

func newSensor(d dice, t traits) sensor {
	s := sensor{gain: 1, excess: make([]float64, pixels), spread: make([]float64, pixels), curve: newTone(t.gamma, t.black)}
	typical := t.target / (0.15*(t.beamLevel*0.6+t.ambient+0.4*t.daylight) + 0.02)
	s.least, s.most = typical/d.logBetween(6, 40), typical*d.logBetween(1.3, 6)
	for b := range s.raw {
		s.raw[b] = make([]float64, pixels)
	}
	return s
}

// sample reads the wide scene at a pixel of the crop, moved by the mount's shake.
func sample(light []float64, row, col int, dx, dy float64) float64 {
	x, y := float64(col+margin)+dx, float64(row+margin)+dy
	i, j := int(x), int(y)
	fx, fy := x-float64(i), y-float64(j)
	p := j*wide + i
	return (light[p]*(1-fx)+light[p+1]*fx)*(1-fy) + (light[p+wide]*(1-fx)+light[p+wide+1]*fx)*fy
}

// expose writes the grey levels of the scene and the mask of what can be seen of the spot.
func (c *Camera) expose(v house.View, out, mask []byte) {
	s := &c.sensor
	for b := range c.bands {
		for p := range pixels {
			row, col := p/house.Side, p%house.Side
			dx := c.shakeX
			if c.interlaced && row%2 == 1 {
				dx = c.fieldX // the other field was read before
			}
			x := sample(c.light[b], row, col, dx, c.shakeY)
			soft := 0.25 * (sample(c.light[b], row, col, dx-1, c.shakeY) + sample(c.light[b], row, col, dx+1, c.shakeY) +
				sample(c.light[b], row, col, dx, c.shakeY-1) + sample(c.light[b], row, col, dx, c.shakeY+1))
			s.raw[b][p] = x + (soft-x)*0.6*c.softness
		}
	}
	s.control(c.target, follow(c.dt, c.agcSeconds))
	gain := s.gain * math.Exp(c.agcPush*clip(v.Exposure, -1, 1))
	s.bloom(gain)
	noise := c.noise * math.Sqrt(gain/s.least/6)
	for p := range pixels {
		row, col := p/house.Side, p%house.Side
		rx, ry := float64(col)/house.Side-0.5, float64(row)/house.Side-0.5
		local := gain * (1 - c.vignette*2*(rx*rx+ry*ry))
		if c.bandDepth > 0 {
			local *= 1 + c.bandDepth*math.Sin(2*math.Pi*(c.bandCount*float64(row)/house.Side+c.bandSpeed*c.time))
		}
		stray := c.bloom*s.spread[p] + c.smear*s.columns[col]
		shared := c.dice.NormFloat64()
		for b := range 3 {
			if b >= c.bands {
				out[3*p+b] = out[3*p]
				continue
			}
			x := local*s.raw[b][p] + stray
			n := shared
			if c.bands > 1 {
				n = 0.7*shared + 0.7*c.dice.NormFloat64()
			}
			out[3*p+b] = byte(255*s.tone(x+n*(noise+c.shot*math.Sqrt(clip(x, 0, 1)))) + 0.5)
		}
		if mask != nil {
			mask[p] = c.seen(row, col, p, local, stray)
		}
	}
}

// seen is 1 where the spot changes a pixel visibly.
func (c *Camera) seen(row, col, p int, gain, stray float64) byte {
	i := (row+margin+int(math.Round(c.shakeY)))*wide + col + margin + int(math.Round(c.shakeX))
	if !c.inSpot[i] || c.clear[i] < 0.3 {
		return 0
	}
	with := gain*c.sensor.raw[0][p] + stray
	without := with - gain*c.spotGlow[i]*c.clear[i]
	if 255*(c.sensor.tone(with)-c.sensor.tone(without)) < seenContrast {
		return 0
	}
	return 1
}

// control moves the gain so that the mean of what is not clipped comes to the target.
func (s *sensor) control(target, share float64) {
	rounds := 1
	if !s.settled {
		rounds, share, s.settled = 8, 1, true
	}
	for range rounds {
		sum := 0.0
		for _, x := range s.raw[0] {
			sum += min(s.gain*x, 1.5)
		}
		mean := max(sum/pixels, 1e-4)
		s.gain = clip(s.gain*math.Pow(target/mean, share), s.least, s.most)
	}
}

// bloom spreads the light beyond full scale around its place, and down its columns.
func (s *sensor) bloom(gain float64) {
	clear(s.columns[:])
	for p := range pixels {
		s.excess[p] = clip(gain*s.raw[0][p]-0.8, 0, 4)
		s.columns[p%house.Side] += s.excess[p]
	}
	box(s.excess, s.spread, 1, house.Side)
	box(s.spread, s.excess, house.Side, 1)
	box(s.excess, s.spread, 1, house.Side)
	box(s.spread, s.excess, house.Side, 1)
	copy(s.spread, s.excess)
}

// reach is how far one pass of the lens's blooming throws light, in pixels.
const reach = 3

// box writes the running mean over 2 × reach + 1 neighbours along one direction.
func box(from, to []float64, step, line int) {
	for l := range house.Side {
		sum := 0.0
		for k := -reach; k < house.Side+reach; k++ {
			if ahead := k + reach; ahead < house.Side {
				sum += from[l*line+ahead*step]
			}
			if k >= 0 && k < house.Side {
				to[l*line+k*step] = sum / (2*reach + 1)
			}
			if behind := k - reach; behind >= 0 {
				sum -= from[l*line+behind*step]
			}
		}
	}
}

// toneSteps divide the range of light over which the tone curve is tabled, 0–4.
const toneSteps = 4096

// newTone tables the camera's curve from light to grey, 0–1: linear to a soft shoulder,
// then gamma.
func newTone(gamma, black float64) (table [toneSteps + 1]float64) {
	const knee = 0.75
	for i := range table {
		// Steps are even in the root of the light, for the curve is steep near black.
		x := math.Pow(2*float64(i)/toneSteps, 2)
		if x > knee {
			x = knee + (1-knee)*math.Tanh((x-knee)/(1-knee)*0.8)
		}
		table[i] = black + (1-black)*math.Pow(min(x, 1), 1/gamma)
	}
	return table
}

func (s *sensor) tone(x float64) float64 {
	return s.curve[int(math.Sqrt(clip(x, 0, 4))*(toneSteps/2))]
}
