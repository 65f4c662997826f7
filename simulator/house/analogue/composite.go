package analogue

import "math"

const (
	samples = 2 * side // of a line of the crop
	lead    = 32       // samples before the line, for what the cable delays
	margin  = 4        // pixels beside a line, for jitter
	store   = 8192     // samples of stored noise
)

// composite is PAL video over a long cable. Colour rides on a subcarrier within the luma
// band, so that fine luma is taken for colour and colour leaves crawling dots in luma
// (ITU-R BT.470; Poynton 2003).
type composite struct {
	y, u, v      [area]float32 // before the coder, then after the decoder
	sine, cosine [samples]float32
	perLine      float64 // phase of the subcarrier from row to row, cycles
	interlaced   bool
	pair         float32 // share of the line below that a field's charge holds
	delayLine    bool
	phaseError   float64 // rad
	band         float32 // share that a decoder's low-pass passes on per sample
	coder        float32 // the same in the coder, per pixel
	loss         float32 // the cable's low-pass, 0 none
	ghost        float32 // reflected share
	delay        int     // of the ghost, samples
	notch        float32 // share of the subcarrier removed from luma
	burst        float32 // gain that restores the chroma that the cable lost
	lag          float64 // phase by which the cable delays burst and chroma alike, rad
	noise        float32
	chromaNoise  float32
	hum, bars    float32 // level; bars a crop
	roll         float64 // of the hum, cycles a second
	jitter       float32 // pixels
	clicks       float32 // interference of the arcs, lines a frame
	hiss, murmur [store + samples]float32
}

func (s *composite) build(r dice, t *traits) {
	// zoom is how many of the 720 samples of a PAL line make one pixel of the crop.
	zoom := float64(r.between(1, 2.3))
	cycles := 4.43361875 / 13.5 * zoom / 2 // of the subcarrier a sample
	for n := range samples {
		a := 2 * math.Pi * cycles * float64(n)
		s.sine[n], s.cosine[n] = float32(math.Sin(a)), float32(math.Cos(a))
	}
	// A PAL line holds 283.7516 cycles.
	s.perLine = 0.7516 * math.Round(zoom)
	s.interlaced = zoom < 1.5
	// A CCD in field integration adds the charge of two lines of the frame.
	s.pair = 0.5 / float32(zoom)
	s.delayLine = r.chance(0.7)
	s.phaseError = float64(r.normal(0.12))
	// The coder lets 1.3 MHz of chroma through, the decoder 0.8–1.3 MHz.
	s.band = min(0.5, 2*math.Pi*r.between(0.8, 1.3)/13.5*float32(zoom)/2)
	s.coder = min(0.8, 2*math.Pi*1.3/13.5*float32(zoom))
	if r.chance(0.7) {
		s.loss = r.between(0.05, 0.5)
	}
	if r.chance(0.5) {
		s.ghost, s.delay = r.between(-0.15, 0.25), 3+r.IntN(lead-6)
	}
	s.notch = r.between(0.75, 1)
	// One-pole low-pass h = (1−a)/(1−a·e^(−jω)); the decoder locks to the burst.
	a, w := float64(s.loss), 2*math.Pi*cycles
	re, im := 1-a*math.Cos(w), a*math.Sin(w)
	s.burst = float32(math.Pow(math.Hypot(re, im)/(1-a), 0.8)) * t.saturation
	s.lag = math.Atan2(im, re)
	s.noise, s.chromaNoise = r.decades(0.003, 0.03), r.decades(0.002, 0.02)
	if r.chance(0.5) {
		s.hum, s.bars, s.roll = r.decades(0.008, 0.06), r.between(0.2, 1.2), float64(r.normal(0.05))
	}
	s.jitter = r.decades(0.02, 0.4)
	if r.chance(0.3) {
		s.clicks = r.between(0.2, 2)
	}
	slow := float32(0)
	for i := range s.hiss {
		s.hiss[i] = r.normal(1)
		slow += 0.15 * (r.normal(3.5) - slow)
		s.murmur[i] = slow
	}
}

// transmit codes, sends and decodes the picture line by line.
func (c *camera) transmit(now float64, dx float32, dy int) {
	s, r := &c.signal, c.random
	var out composed
	clicks := int(s.clicks*c.lights.flame*r.Float32()*2 + 0.5)
	// The subcarrier's phase moves on by three quarters of a cycle a frame.
	frame := math.Mod(math.Round(now*25), 8) * 0.75
	var line line
	wander := float32(0)
	level := sqrt(s.noise*s.noise + c.iris.noise*c.iris.noise)
	for y := range side {
		from := clamp(y+dy) * side
		wander += 0.3 * (r.normal(s.jitter) - wander)
		phase := 2 * math.Pi * (s.perLine*float64(y) + frame)
		hum := s.hum * float32(math.Sin(2*math.Pi*(float64(s.bars)*float64(y)/side+s.roll*now)))
		line.take(s, from, max(-2.9, min(2.9, dx+wander)))
		if c.monochrome {
			line.send(s, hum, level, r.IntN(store), nil, nil)
			line.plain(out.y[y*side:][:side])
			continue
		}
		swing := float32(1 - 2*(y&1))
		line.limit(s.coder)
		line.rotate(phase, swing)
		line.send(s, hum, level, r.IntN(store), &s.sine, &s.cosine)
		line.decode(s)
		line.split(s, out.y[y*side:][:side], out.u[y*side:][:side], out.v[y*side:][:side],
			phase+s.phaseError-s.lag, swing, r.IntN(store), r.IntN(store))
	}
	if !c.monochrome && s.delayLine {
		out.average()
	}
	out.peak(s, c.peaking)
	for range clicks {
		at, n, height := r.IntN(area-12), 2+r.IntN(10), r.normal(0.3)
		for i := range n {
			s.y[at+i] += height
		}
	}
}

// composed is a decoded picture.
type composed struct{ y, u, v [area]float32 }

// average is PAL's delay line: two lines' chroma cancel errors of phase and halve the
// vertical detail of colour.
func (o *composed) average() {
	for i := area - 1; i >= side; i-- {
		o.u[i], o.v[i] = 0.5*(o.u[i]+o.u[i-side]), 0.5*(o.v[i]+o.v[i-side])
	}
}

// peak sharpens edges along the line, with overshoot, and hands the picture back.
func (o *composed) peak(s *composite, amount float32) {
	s.u, s.v = o.u, o.v
	for y := range side {
		from, to := (*[side]float32)(o.y[y*side:]), (*[side]float32)(s.y[y*side:])
		to[0], to[side-1] = from[0], from[side-1]
		for x := 1; x < side-1; x++ {
			to[x] = from[x] + amount*(from[x]-0.5*(from[x-1]+from[x+1]))
		}
	}
}
