package emission

import (
	"math"
	"math/rand/v2"
)

// The lights, and their layers in the scene.
const (
	hallLight  = iota
	arcLight   // from the mouth
	floorLight // red heat below the rim, or above it
	sunLight   // daylight through windows, in the hall and as a patch on the shell
	lights
)

const margin = 6 // pixels between a spot's first glow and the crop's edge

// scene is what stays: the light that each lamp of strength 1 sends to the camera by way
// of the surfaces, and the surfaces' temperature.
type scene struct {
	seed        uint64
	light       [lights]plane
	strength    [lights]float64
	steady      plane         // the hall's light at its strength, and what surfaces emit
	kelvin      [area]float32 // of shell and electrodes; 0 elsewhere
	shell       [area]bool
	front       [area]bool // hoses and rails before it
	room        []int32    // where a spot may begin
	mouth       []int32    // pixels that flame can reach
	across      [area]float32
	above       [area]float32 // the mouth, share of the crop
	planck      *table
	reference   float32 // kelvins at which red equals the lit shell's
	hot         float32 // the reference, or the shell where it is hotter
	overheated  float32 // kelvins of an overheated shell
	flameKelvin float32
	grain       *grain     // of surfaces
	cloud       *grain     // of mist and dust
	white       [3]float64 // the hall's colour
	lamp        [3]float64 // the light that the camera takes for white
	clothes     [3]float64
}

// pose is where the shell stands: a cylinder, tilted, partly in view.
type pose struct {
	radius, axis, sin, cos, mouth, foot float64 // shares of the crop
}

func build(rng *rand.Rand) *scene {
	s := &scene{seed: rng.Uint64(), grain: newGrain(rng, 64), cloud: newGrain(rng, 16)}
	b := drawBands(rng)
	g := pose{radius: math.Exp(between(rng, math.Log(0.3), math.Log(1.7))), mouth: between(rng, -0.55, 0.27), foot: between(rng, 0.82, 1.5)}
	g.axis = between(rng, -0.3, 0.3) * g.radius
	if g.radius < 0.8 {
		g.axis = between(rng, -0.12, 0.12)
	}
	g.sin, g.cos = math.Sincos(between(rng, -0.3, 0.3))
	s.reference = float32(between(rng, 1080, 1480))
	s.planck = b.table(float64(s.reference))
	s.flameKelvin = s.reference + float32(between(rng, 30, 380))
	s.white = b.white(between(rng, 2500, 6500))
	color := [lights][3]float64{s.white, b.white(between(rng, 3000, 7500)), b.white(between(rng, 1250, 1900)), b.white(between(rng, 5000, 9000))}
	s.lamp = color[rng.IntN(2)]
	if rng.Float64() < 0.2 {
		s.lamp = b.white(between(rng, 2200, 9000)) // set by hand, for something else
	}
	for k := range s.clothes {
		s.clothes[k] = between(rng, 0.4, 1.2)
	}
	s.paint(rng, g, color)
	s.furnish(rng, color)
	s.balance(rng)
	s.warm(rng)
	return s
}

// paint draws the surfaces under each light of strength 1.
func (s *scene) paint(rng *rand.Rand, g pose, color [lights][3]float64) {
	metal, tint := between(rng, 0.12, 0.5), [3]float64{}
	for k := range tint {
		tint[k] = 1 + 0.12*rng.NormFloat64()
	}
	rough, streaks := between(rng, 0.08, 0.4), between(rng, 0, 0.45)
	lime, soot := between(rng, 0.9, 2.8), between(rng, 0.7, 2.6) // thresholds of the grain
	hoop, hoopWidth := between(rng, 0.13, 0.6), between(rng, 0.012, 0.04)
	hoopDepth := between(rng, 0, 0.8)
	seam := between(rng, -0.9, 0.9)
	lampX, lampY, lampZ := between(rng, -0.9, 0.9), between(rng, -0.9, 0.3), between(rng, 0.3, 1)
	gloss, glossWidth, glossAt := between(rng, 0, 1.2), between(rng, 0.03, 0.2), between(rng, -0.7, 0.7)
	reach, fromAbove := between(rng, 0.12, 0.6), rng.Float64() < 0.25
	panes, paneWidth, patchY := between(rng, 0.1, 0.3), between(rng, 0.02, 0.09), between(rng, 0.1, 0.9)
	patchX, patchTall, lean := between(rng, 0, 0.9), between(rng, 0.05, 0.25), between(rng, -0.8, 0.8)
	patchWide, patchSun := between(rng, 0.08, 0.4), math.Exp(between(rng, -2, 1.2))
	wall, window := between(rng, 0.02, 0.5), math.Exp(between(rng, -2, 4))
	thick := between(rng, 0.06, 0.13) // electrodes, share of the radius
	for p := range area {
		x, y := (float64(p%side)+0.5)/side, (float64(p/side)+0.5)/side
		a := (x-0.5)*g.cos + (y-0.5)*g.sin - g.axis
		b := 0.5 + (y-0.5)*g.cos - (x-0.5)*g.sin
		u := a / g.radius
		rim := g.mouth + 0.04*math.Sqrt(max(0, 1-u*u)) // seen a little from above
		s.across[p], s.above[p] = float32(u), float32(rim-b)
		if b < rim+0.03 && math.Abs(u) < 1.05 {
			s.mouth = append(s.mouth, int32(p))
		}
		grain := s.grain.at(90*a, 90*b)
		var got [lights]float64
		reflect := metal
		switch {
		case math.Abs(u) < 1 && b > rim && b < g.foot:
			s.shell[p] = true
			turn := math.Asin(u)
			nz := math.Sqrt(1 - u*u)
			reflect *= math.Exp(rough*grain + streaks*s.grain.at(70*turn*g.radius, 7*b+31))
			if n := s.grain.at(40*turn*g.radius+17, 25*b+50); n > lime {
				reflect = 0.55 + 0.2*rng.Float64()
			} else if -n > soot {
				reflect *= 0.35
			}
			if m := math.Mod(b-g.mouth+10*hoop, hoop); m < hoopWidth {
				reflect *= 1 + hoopDepth*(1-2.2*m/hoopWidth)
			}
			if math.Abs(turn-seam) < 0.02/g.radius {
				reflect *= 0.6
			}
			shine := gloss * math.Exp(-square((turn-glossAt)/glossWidth)/2) * math.Exp(0.4*grain)
			facing := max(0, (lampX*u+lampZ*nz)/math.Hypot(lampX, lampZ))
			got[hallLight] = 0.3 + 0.7*facing + shine*(1+lampY*(b-0.5))
			got[arcLight] = (0.25 + 0.75*nz) / math.Pow(0.5+max(0, b-g.mouth), 2) * (1 + 0.4*shine)
			far := (min(g.foot, 1.1) - b) / reach
			if fromAbove {
				far = (b - max(g.mouth, -0.1)) / reach
			}
			got[floorLight] = math.Exp(-max(far, 0)) * (0.3 + 0.7*nz)
			h := y - patchY - lean*(x-patchX)
			if x > patchX && x < patchX+patchWide && math.Abs(h) < patchTall && math.Mod(x-patchX, panes) > paneWidth {
				got[sunLight] = 4 * patchSun
			}
			got[sunLight] += 0.25
		case b >= g.foot: // the floor
			reflect = 0.25 * math.Exp(0.3*grain)
			got = [lights]float64{0.6, 0.5, 2 * math.Exp(-(b-g.foot)/0.1), 0.3}
		default: // the hall behind
			reflect = wall * math.Exp(0.25*grain)
			got = [lights]float64{0.5, 0.15 / (1 + 3*math.Abs(b-g.mouth)), 0.1, 0.3}
			if s.grain.at(14*x+5, 10*y+77) > 0.9 && math.Mod(x, panes) > paneWidth {
				got[sunLight] += window / wall
			}
			if third := math.Abs(math.Mod(u+1, 0.66) - 0.33); b < g.mouth && third < thick && math.Abs(u) < 0.95 {
				reflect = 0.06
				s.kelvin[p] = s.reference + float32(160-900*(g.mouth-b)) // electrodes are hot below
			}
		}
		for l := range got {
			for k := range 3 {
				s.light[l][3*p+k] = float32(got[l] * reflect * tint[k] * color[l][k])
			}
		}
	}
}

// furnish puts lamps' reflections on the shell and hoses and rails before it.
func (s *scene) furnish(rng *rand.Rand, color [lights][3]float64) {
	for range rng.IntN(4) {
		x, y, w := between(rng, 0, side), between(rng, 0, side), math.Exp(between(rng, -0.3, 1.6))
		h, power := w*between(rng, 0.7, 2.5), math.Exp(between(rng, -1, 2.2))
		tint := color[rng.IntN(lights)]
		for p := range area {
			dx, dy := (float64(p%side)-x)/w, (float64(p/side)-y)/h
			if d := dx*dx + dy*dy + 0.9*s.grain.at(4*float64(p%side), 4*float64(p/side)); d < 4 && s.shell[p] {
				for k := range 3 {
					s.light[hallLight][3*p+k] += float32(power * math.Exp(-max(d, 0)) * tint[k])
				}
			}
		}
	}
	for range rng.IntN(4) {
		upright := rng.Float64() < 0.5
		at, wide := between(rng, 0, side), between(rng, 0.7, 2.6)
		bend, bends, lean := between(rng, 0, 6), between(rng, 0.02, 0.12), between(rng, -0.3, 0.3)
		reflect := math.Exp(between(rng, -3.2, -0.7))
		paint := [3]float64{between(rng, 0.3, 1.2), between(rng, 0.3, 1.2), between(rng, 0.3, 1.2)}
		for p := range area {
			along, over := float64(p%side), float64(p/side)
			if upright {
				along, over = over, along
			}
			d := (over - at - lean*along - bend*math.Sin(bends*along)) / wide
			if d*d >= 1 {
				continue
			}
			s.front[p], s.kelvin[p] = true, 0
			for l := range s.light {
				for k := range 3 {
					lit := [lights]float64{0.9, 0.3, 0.3, 0.3}[l]
					s.light[l][3*p+k] = float32(lit * reflect * (1 - 0.6*d) * paint[k] * color[l][k])
				}
			}
		}
	}
}

// balance gives the lights their strengths, so that the lit shell's mean radiance is 1.
func (s *scene) balance(rng *rand.Rand) {
	for l, usual := range [lights]float64{0, 0.2, -0.9, -0.8} {
		s.strength[l] = math.Exp(usual + 0.9*rng.NormFloat64())
	}
	var mean float64
	shell := 0
	for p, is := range s.shell {
		if !is || s.front[p] {
			continue
		}
		shell++
		for l := range s.light {
			for k := range 3 {
				mean += s.strength[l] * float64(s.light[l][3*p+k]) / 3
			}
		}
	}
	for l := range s.strength {
		s.strength[l] *= float64(shell) / mean
	}
}

// warm gives the shell its temperature: hotter at a height of its own, uneven, in some
// melts bright enough to be seen by its own light, in some with a constant hot stain.
func (s *scene) warm(rng *rand.Rand) {
	base := s.reference - float32(between(rng, 90, 420))
	if rng.Float64() < 0.25 {
		base = s.reference + float32(between(rng, -60, 40))
	}
	belt, wide, swing := between(rng, 0, 1), between(rng, 0.2, 0.6), between(rng, 0, 120)
	uneven, stain := between(rng, 5, 35), 9.0
	if rng.Float64() < 0.35 {
		stain = between(rng, 1.3, 2.1)
	}
	s.hot = s.reference
	for p, is := range s.shell {
		if is && !s.front[p] {
			x, y := float64(p%side), float64(p/side)
			d := (y/side - belt) / wide
			t := base + float32(swing*(math.Exp(-d*d)-1)+uneven*s.grain.at(1.7*x+9, 1.7*y))
			if n := s.grain.at(1.3*x+70, 1.3*y+20); n > stain {
				t = max(t, s.reference+float32(-60+120*(n-stain)))
			}
			s.kelvin[p] = t
			if x >= margin && y >= margin && x < side-margin && y < side-margin && math.Abs(float64(s.across[p])) < 0.85 {
				s.room = append(s.room, int32(p))
			}
		}
	}
	s.hot = max(s.hot, base)
	s.overheated = s.hot + float32(between(rng, -50, 60))
	for p, t := range s.kelvin {
		e := s.planck.at(t)
		for k := range e {
			s.steady[3*p+k] = float32(s.strength[hallLight])*s.light[hallLight][3*p+k] + min(e[k], brightest)
		}
	}
}

// nearest is the first place of the shell on the way from a place to the crop's middle.
func (s *scene) nearest(x, y float64) int32 {
	for f := 0.0; f <= 1; f += 0.05 {
		px, py := (x+f*(0.5-x))*side, (y+f*(0.5-y))*side
		p := int32(min(max(py, 0), side-1))*side + int32(min(max(px, 0), side-1))
		if s.shell[p] {
			return p
		}
	}
	return s.room[len(s.room)/2]
}

func square(x float64) float64 { return x * x }
