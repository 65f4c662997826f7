package nightcam

import (
	"math"
	"math/rand/v2"
)

// mode is the state of the infrared-cut filter.
type mode int

const (
	night mode = iota // filter out, grey picture, diodes on
	day               // filter in, colours
	open              // filter stuck out by day: washed-out colours, diodes weak
)

// fireColour is the flame's light in each band.
var fireColour = map[mode][3]float64{night: {1, 1, 1}, day: {1, 0.62, 0.26}, open: {1, 0.8, 0.88}}

// traits are what differs between melts, but for the shell's structure.
type traits struct {
	mode       mode
	cast       [3]float64
	colour     float64 // saturation by day, 0–1
	reference  float64 // kelvin at which a surface sends out one unit of light
	overheated float64 // kelvin of a fully overheated shell

	beamX, beamY, beamWidth float64
	beamLevel, beamFloor    float64 // in the middle and far from it
	ambient, daylight       float64
	doorSide, doorReach     float64 // doorSide −1: from the left, 1: from the right
	doorPeriod, doorSpeed   float64

	rim                               float64 // height of the mouth's rim, negative above the crop
	flameLight, flameLag, flameHeight float64
	exhaustGrowth                     float64

	dustAlways, dustVeil, dustFlecks float64
	mistHeight, mistSpeed, mistDrift float64
	insects                          float64 // a second
	filmSpeed                        float64 // of the water film, crop sides a second

	shake                                     float64 // pixels
	passerWidth, passerHead, passerAlbedo     float64
	passerStripes                             float64 // light of their reflectors in the beam
	passerBraces                              bool
	softness, bloom, smear, vignette          float64
	interlaced                                bool
	bandDepth, bandCount, bandSpeed           float64
	gamma, black, target, agcSeconds, agcPush float64
	noise, shot                               float64
}

func draw(d dice) (t traits) {
	switch p := d.Float64(); {
	case p < 0.7:
		t.mode = night
	case p < 0.88:
		t.mode = day
	default:
		t.mode = open
	}
	t.cast = [3]float64{1, 1, 1}
	if d.chance(0.6) {
		t.cast = [3]float64{d.between(0.93, 1), d.between(0.92, 1), d.between(0.93, 1.05)}
	}
	t.colour = d.between(0.25, 0.8)
	t.drawLight(d)
	t.drawAir(d)
	t.drawSensor(d)
	return t
}

func (t *traits) drawLight(d dice) {
	t.reference, t.overheated = d.between(1090, 1200), d.between(1010, 1080)
	t.beamX, t.beamY, t.beamWidth = d.between(0.2, 0.8), d.between(0.25, 0.75), d.between(0.22, 0.65)
	t.beamLevel, t.beamFloor = d.between(0.7, 1), d.between(0.04, 0.35)
	t.ambient, t.daylight = d.logBetween(0.01, 0.12), d.between(0, 0.1)
	if t.mode != night {
		t.reference, t.overheated = d.between(1230, 1330), d.between(1060, 1130)
		t.beamLevel *= d.between(0, 0.2)
		t.ambient, t.daylight = d.between(0.15, 0.4), d.between(0.2, 0.9)
	}
	if t.mode == open {
		t.reference, t.overheated = d.between(1090, 1200), d.between(1010, 1080)
		t.beamLevel += d.between(0.05, 0.3)
	}
	t.doorSide, t.doorReach = math.Copysign(1, d.between(-1, 1)), d.between(0.25, 1.2)
	t.doorPeriod, t.doorSpeed = d.between(60, 240), d.logBetween(3, 40)
	t.rim = d.between(-0.25, -0.02)
	if d.chance(0.5) {
		t.rim = d.between(0.02, 0.16)
	}
	t.flameLight, t.flameLag = d.logBetween(0.04, 0.5), d.between(0.2, 1)
	t.flameHeight, t.exhaustGrowth = d.between(0.04, 0.14), d.between(1.4, 2.4)
}

func (t *traits) drawAir(d dice) {
	t.dustAlways = max(0, d.between(-0.15, 0.2))
	t.dustVeil, t.dustFlecks = d.between(0.12, 0.55), d.logBetween(3, 30)
	t.mistHeight, t.mistSpeed, t.mistDrift = d.between(0.5, 1.6), d.between(0.1, 0.5), d.between(-0.3, 0.3)
	if d.chance(0.6) {
		t.insects = d.logBetween(0.005, 0.12)
	}
	t.filmSpeed = d.between(0.02, 0.25)
	t.passerWidth, t.passerHead = d.between(0.13, 0.3), d.between(0.08, 0.42)
	t.passerAlbedo = d.between(0.06, 0.6)
	if d.chance(0.7) {
		t.passerStripes, t.passerBraces = d.logBetween(0.5, 4), d.chance(0.4)
	}
}

func (t *traits) drawSensor(d dice) {
	t.shake = d.logBetween(0.03, 0.6)
	t.softness, t.bloom, t.vignette = d.between(0.1, 0.9), d.between(0.03, 0.22), d.between(0, 0.35)
	if d.chance(0.15) {
		t.smear = d.between(0.001, 0.008)
	}
	t.interlaced = d.chance(0.25)
	if d.chance(0.35) {
		t.bandDepth = d.between(0.02, 0.12)
	}
	t.bandCount, t.bandSpeed = d.between(0.5, 3), d.between(0.1, 2)
	t.gamma, t.black = d.between(1.6, 2.4), d.between(0, 0.06)
	t.target, t.agcSeconds, t.agcPush = d.between(0.09, 0.24), d.between(0.5, 2), d.between(0.8, 1.5)
	t.noise, t.shot = d.logBetween(0.002, 0.014), d.logBetween(0.004, 0.02)
}

// dice are the random draws of a melt.
type dice struct{ *rand.Rand }

func (d dice) between(low, high float64) float64 { return low + (high-low)*d.Float64() }

func (d dice) logBetween(low, high float64) float64 {
	return low * math.Pow(high/low, d.Float64())
}

func (d dice) chance(p float64) bool { return d.Float64() < p }

// count draws a Poisson number of small mean, 60 at most.
func (d dice) count(mean float64) (n int) {
	for sum := d.ExpFloat64(); sum < mean && n < 60; sum += d.ExpFloat64() {
		n++
	}
	return n
}

func clip(x, low, high float64) float64 { return max(low, min(high, x)) }

// ramp is 0 at low, 1 at high and linear between.
func ramp(x, low, high float64) float64 { return clip((x-low)/(high-low), 0, 1) }

// follow is how far a first-order lag of the given seconds moves in dt.
func follow(dt, seconds float64) float64 { return 1 - math.Exp(-dt/seconds) }

// place is where the middle of a pixel of the wide scene lies, in crop sides.
func place(i int) (x, y float64) {
	return (float64(i%wide-margin) + 0.5) / (wide - 2*margin), (float64(i/wide-margin) + 0.5) / (wide - 2*margin)
}
