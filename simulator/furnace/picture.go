package furnace

import (
	"math"
	"math/rand/v2"
)

// Picture is everything in front of the camera, and in it, that changes with
// time. Places are shares of the crop's side: (0, 0) is its top left corner,
// (1, 1) its bottom right.
type Picture struct {
	// Flame is the flame's height at the mouth, 1 = usual.
	Flame float64
	// Gain is exposure times white balance, one factor a channel R, G, B.
	Gain [3]float64
	Spot Spot
	// Ember is a cinder that glows for a while; its Area is a share of the crop.
	Ember Ember
	// Mist is the water mist's density 0–1; MistX and MistY drift.
	Mist, MistX, MistY float64
	// Sparks is the rate of the shower 0–1, Dust how far dust greys the picture.
	Sparks, Dust float64
	// Passer is where a worker stands across the picture; PasserSeen is 0 when
	// nobody passes.
	Passer, PasserSeen float64
	// ShakeX and ShakeY move the whole picture, in crop pixels.
	ShakeX, ShakeY float64
	// Redness is the dull glow of an overheated shell, 0–1.
	Redness float64
	// Stir counts up with the furnace's turbulence; flame and mist draw on it.
	Stir float64
	// Light is the furnace's own: 1 working, 0 off.
	Light float64
	// Turbulence is the current's change against its usual change, 1 = usual, at most 3.
	Turbulence float64
	// Exposure is how far the camera is driven dark (−1) or white (1).
	Exposure float64
}

// Spot is the hot spot of an episode.
type Spot struct {
	Episode int
	Seed    uint64  // draws shape and place
	Area    float64 // share of the crop
	Heat    float64 // 0 first red … 1 white
	Shine   float64 // radiance against a fully lit white patch
	Cover   float64 // 0 seen … 1 hidden
	Growth  float64 // 0 first glow … 1 fully grown
}

// Ember is a cinder on the shell.
type Ember struct {
	X, Y, Shine float64
}

// target is where the picture's slow parts are heading; drawn once a Period.
type target struct {
	gain         [3]float64
	flameHeight  float64
	picture      Picture
	mistX, mistY float64 // drift a second
	speed        float64
}

// painter keeps what moves between two values of the PLC.
type painter struct {
	rng    *rand.Rand
	batch  Batch
	now    Picture
	next   target
	swing  float64 // slow wander of the camera's exposure, −1 dark … 1 white
	gust   float64 // the flame's own restlessness
	expose float64
	white  [3]float64
}

func newPainter(b Batch, rng *rand.Rand) *painter {
	p := &painter{rng: rng, batch: b, expose: 1, white: b.Cast}
	p.now.Flame, p.now.Gain = b.FlameBase, b.Cast
	p.swing = rng.NormFloat64() * swingSpread
	p.now.MistX, p.now.MistY = rng.Float64()*64, rng.Float64()*64
	return p
}

// scene derives this period's targets from the furnace.
func (f *Furnace) scene(t float64, s span, before, now [3]float64) target {
	var g target
	g.picture = Picture{
		Mist:   f.levels[atMist] * mistDensest,
		Sparks: f.levels[atSparks],
		Light:  1,
	}
	if f.levels[atFeed] > 0 {
		g.picture.Dust = 0.15
	}
	if s.State == Off || s.State == Trip {
		g.picture.Light = 0
	}
	if s.State == Overheating {
		g.picture.Redness = smooth((t - s.from) / 30)
	}
	if n := f.events[atCinder]; n.Seconds > 0 {
		g.picture.Ember = Ember{X: 0.1 + 0.8*fraction(n.At*7.31), Y: 0.1 + 0.8*fraction(n.At*3.77), Shine: emberShine * f.levels[atCinder]}
	}
	if n := f.events[atPasserBy]; n.Seconds > 0 {
		share := (t - n.At) / n.Seconds
		from, to := -0.5, 1.5
		if fraction(n.At) < 0.5 {
			from, to = to, from
		}
		g.picture.Passer, g.picture.PasserSeen = from+(to-from)*share, 1
		g.speed = (to - from) / n.Seconds
	}
	g.picture.Exposure = f.levels[atExposure]
	g.picture.Turbulence = turbulence(f.batch.SetPoint, before, now)
	g.picture.Spot = s.episode.spot(t, s.severity(t), f.levels[atHidden])
	g.flameHeight = f.flame(s, before, now)
	g.exposure(f.levels[atExposure], f.picture)
	return g
}

// flame is the height that the flame heads for: it follows the current's
// change, which is the physical link between the two senses.
func (f *Furnace) flame(s span, before, now [3]float64) float64 {
	if s.State == Off || s.State == Trip {
		return 0
	}
	height := f.batch.FlameBase * (0.55 + 0.45*turbulence(f.batch.SetPoint, before, now))
	switch {
	case f.levels[atExhaust] > 0 || s.State == Exhaust:
		height *= 1.4
	case s.State == AbnormalExhaust:
		height *= 2
	case f.levels[atFeed] > 0 || s.State == Feeding:
		height *= 0.85
	}
	return height
}

// exposure sets the gain that the camera heads for.
func (g *target) exposure(push float64, p *painter) {
	p.swing = wander(p.rng, p.swing, swingSpread, swingSeconds)
	z := clamp(p.swing+push, -1, 1)
	i := 0
	for i < len(lights)-2 && z > lights[i+1].swing {
		i++
	}
	a, b := lights[i], lights[i+1]
	share := clamp((z-a.swing)/(b.swing-a.swing), 0, 1)
	g.gain = [3]float64{}
	for c := range g.gain {
		g.gain[c] = (a.gain[c] + share*(b.gain[c]-a.gain[c])) * p.batch.Cast[c]
	}
}

// light is a corner of what auto-exposure and white balance do to the frame.
type light struct {
	swing float64
	gain  [3]float64
}

// lights run from dark blue over yellow to near-white.
var lights = [...]light{
	{-1, [3]float64{0.16, 0.22, 0.42}},
	{-0.45, [3]float64{0.62, 0.68, 0.82}},
	{0, [3]float64{1, 1, 1}},
	{0.5, [3]float64{1.75, 1.5, 0.85}},
	{1, [3]float64{whitest * 1.1, whitest, whitest * 0.85}},
}

// spot is the hot spot at time t. It glows later than the current quietens, is
// small and red at first, and cools through recovery.
func (e *episodeDraw) spot(t, severity, hidden float64) Spot {
	if e == nil {
		return Spot{}
	}
	age := t - e.onset - e.lead
	if age <= 0 || t >= e.end {
		return Spot{}
	}
	growth := clamp(severity, 0, 1) * smooth(0.3+0.7*age/40)
	heat := growth
	if t >= e.recovery {
		growth = math.Sqrt(growth) // the patch fades faster than it shrinks
	}
	return Spot{
		Episode: e.number, Seed: e.spotSeed,
		Area:  spotFirst * math.Pow(e.spotArea/spotFirst, growth),
		Heat:  heat,
		Shine: spotFaint * math.Pow(spotBright/spotFaint, heat) * min(1, 10*heat),
		Cover: smooth(hidden * 3), Growth: growth,
	}
}

// aim takes over a period's targets. What has no inertia of its own changes at once.
func (p *painter) aim(g target) {
	g.mistX, g.mistY = 0.05, -0.09 // mist rises, drawn aside by the hall's draught
	p.next = g
	p.gust = wander(p.rng, p.gust, gustSpread, 3)
	p.now.Spot, p.now.Ember, p.now.Sparks, p.now.Redness = g.picture.Spot, g.picture.Ember, g.picture.Sparks, g.picture.Redness
	p.now.Turbulence, p.now.Exposure = g.picture.Turbulence, g.picture.Exposure
	p.now.Passer, p.now.PasserSeen = g.picture.Passer, g.picture.PasserSeen
}

// tick moves everything on by one Tick.
func (p *painter) tick() {
	n := &p.now
	height := max(0, p.next.flameHeight*(1+p.gust))
	n.Flame += (height - n.Flame) * (Tick / p.batch.FlameLag)
	n.Mist += (p.next.picture.Mist - n.Mist) * Tick / 0.7
	n.Dust += (p.next.picture.Dust - n.Dust) * Tick / 2
	n.Light += (p.next.picture.Light - n.Light) * Tick / 1.5
	n.MistX += p.next.mistX * Tick
	n.MistY += p.next.mistY * Tick
	n.Stir += Tick * (0.6 + 0.4*n.Flame)
	n.Passer += p.next.speed * Tick * n.PasserSeen
	n.ShakeX = clamp(0.8*n.ShakeX+0.6*p.batch.Shake*p.rng.NormFloat64(), -1, 1)
	n.ShakeY = clamp(0.8*n.ShakeY+0.6*p.batch.Shake*p.rng.NormFloat64(), -1, 1)
	// The camera meters what the flame throws on the shell and turns against it.
	metered := math.Sqrt((0.6*p.batch.Ambient + 0.6) / (0.6*p.batch.Ambient + 0.6*n.Flame + 0.05))
	p.expose += (metered - p.expose) * Tick / p.batch.ExposureLag
	for c := range n.Gain {
		p.white[c] += (p.next.gain[c] - p.white[c]) * Tick / p.batch.BalanceLag
		n.Gain[c] = p.white[c] * p.expose
	}
}

func fraction(x float64) float64 { return x - math.Floor(x) }

// turbulence is the current's change against its usual change, at most 3.
func turbulence(setPoint float64, before, now [3]float64) float64 {
	var change float64
	for p := range now {
		change += math.Abs(now[p]-before[p]) / 3 / setPoint
	}
	return min(change/usualChange, 3)
}
