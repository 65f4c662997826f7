package relief

import (
	"math"
	"math/rand/v2"

	"meltwatch/simulator/house"
)

// role is what a source of light is.
type role uint8

const (
	daylight role = iota
	lamp
	flame
	floorGlow
	sunbeam
)

// source is one light with what it adds to each pixel at strength 1.
type source struct {
	role     role
	at       [3]float32
	colour   rgb
	strength float32
	soft     float32
	shine    float32 // exponent of its highlight
	flicker  float32 // depth at twice the mains frequency
	phase    float64
	beam     [4]float32 // sunbeam: centre and size
	layer    picture
}

// lights are all sources of a melt.
type lights struct {
	sources []source
	view    [3]float32
	mains   float64 // twice its frequency, Hz
	readout float64 // seconds from row to row of the crop
	seed    uint32

	power   float32 // of the furnace, smoothed
	exhaust float32
}

// lampColours: sodium, mercury, LED, halogen, fluorescent.
var lampColours = []rgb{{1.3, 0.75, 0.25}, {0.8, 1.05, 0.95}, {1, 1, 1}, {1.2, 0.95, 0.6}, {0.95, 1.05, 0.9}}

func newLights(r *rand.Rand) lights {
	l := lights{
		mains: 2 * (50 + 0.06*r.NormFloat64()), readout: float64(between(r, 4e-5, 3e-4)), seed: r.Uint32(),
	}
	tilt := [2]float32{between(r, -0.4, 0.4), between(r, -0.4, 0.4)}
	length := sqrt(1 + tilt[0]*tilt[0] + tilt[1]*tilt[1])
	l.view = [3]float32{tilt[0] / length, tilt[1] / length, 1 / length}
	dark := r.Float32() // of the hall
	l.sources = append(l.sources, source{
		role: daylight, at: [3]float32{between(r, -2, 3), between(r, -2, 0), between(r, 1, 3)},
		colour: rgb{0.85, 0.97, 1.15}, strength: 0.06 + 0.6*dark*dark, shine: 8, soft: 2,
	})
	for range 1 + r.IntN(3) {
		l.sources = append(l.sources, source{
			role: lamp, at: [3]float32{between(r, -1.5, 2.5), between(r, -1.6, 1), between(r, 0.25, 1.6)},
			colour: lampColours[r.IntN(len(lampColours))], strength: between(r, 0.2, 1.3),
			soft: between(r, 0.04, 0.3), shine: between(r, 12, 70),
			flicker: between(r, 0, 0.5), phase: r.Float64(),
		})
	}
	strength, height := between(r, 0.1, 0.9), between(r, -0.8, -0.15)
	for k := range 3 {
		l.sources = append(l.sources, source{
			role: flame, at: [3]float32{-0.3 + 0.8*float32(k), height, between(r, 0.15, 0.6)},
			colour: rgb{1.5, 0.75, 0.22}, strength: strength, soft: 0.3, shine: 20,
		})
	}
	if r.Float32() < 0.6 {
		l.sources = append(l.sources, source{
			role: floorGlow, at: [3]float32{between(r, 0, 1), between(r, 1.1, 1.6), between(r, 0.1, 0.6)},
			colour: rgb{1.6, 0.65, 0.15}, strength: between(r, 0.1, 0.9), soft: 0.5, shine: 15,
		})
	}
	if r.Float32() < 0.25 {
		l.sources = append(l.sources, source{
			role: sunbeam, at: [3]float32{between(r, -1, 2), -2, 1.6}, colour: rgb{1.15, 1.05, 0.9},
			strength: between(r, 0.8, 3), soft: 0.03, shine: 30, phase: r.Float64(),
			beam: [4]float32{r.Float32(), r.Float32(), between(r, 0.08, 0.25), between(r, 0.08, 0.3)},
		})
	}
	return l
}

// shade adds one cell of the relief to pixel i of every source's layer.
func (l *lights) shade(g *grid, n int, weight float32, i int) {
	p, normal := &g.points[n], g.normals[n]
	x, y := place(n%fine), place(n/fine)
	for k := range l.sources {
		s := &l.sources[k]
		share := s.reach(x, y)
		if share == 0 {
			continue
		}
		to := [3]float32{s.at[0] - x, s.at[1] - y, s.at[2] - p.height}
		distance := sqrt(to[0]*to[0] + to[1]*to[1] + to[2]*to[2])
		for a := range to {
			to[a] /= distance
		}
		facing := normal[0]*to[0] + normal[1]*to[1] + normal[2]*to[2]
		if s.role == daylight {
			share *= g.open[n] * (0.55 + 0.45*facing)
		} else {
			if facing <= 0 {
				continue
			}
			share *= facing * g.lit(x, y, p.height, s.at, s.soft)
			if s.role != sunbeam {
				share *= 1.5 / (0.5 + distance*distance)
			}
		}
		if share <= 0 {
			continue
		}
		// Blinn and Phong's highlight: the normal against the mean of light and view.
		h := [3]float32{to[0] + l.view[0], to[1] + l.view[1], to[2] + l.view[2]}
		long := sqrt(h[0]*h[0] + h[1]*h[1] + h[2]*h[2])
		bright := (normal[0]*h[0] + normal[1]*h[1] + normal[2]*h[2]) / long
		gloss := float32(0)
		if bright > 0.5 {
			gloss = p.gloss * (s.shine + 8) / 25 * float32(math.Pow(float64(bright), float64(s.shine)))
		}
		reflected := p.albedo.plus(rgb{gloss, gloss, gloss})
		s.layer[i] = s.layer[i].plus(reflected.by(s.colour).times(share * weight))
	}
}

// reach is 1 but for a sunbeam, which the window's frame bounds.
func (s *source) reach(x, y float32) float32 {
	if s.role != sunbeam {
		return 1
	}
	dx, dy := abs(x-s.beam[0]+0.3*(y-s.beam[1])), abs(y-s.beam[1])
	return ramp(s.beam[2]/2+0.01, s.beam[2]/2-0.01, dx) * ramp(s.beam[3]/2+0.01, s.beam[3]/2-0.01, dy)
}

// normalise folds the strengths into the layers and returns the mean luminance.
func (l *lights) normalise() float32 {
	sum := float32(0)
	for k := range l.sources {
		s := &l.sources[k]
		for i := range s.layer {
			s.layer[i] = s.layer[i].times(s.strength)
			if s.role == daylight || s.role == lamp {
				sum += min(s.layer[i].luminance(), 1.5)
			} else if s.role != sunbeam {
				sum += 0.9 * min(s.layer[i].luminance(), 1.5)
			}
		}
	}
	return max(sum/pixels, 0.01)
}

// add starts a frame with the light of all sources.
func (l *lights) add(v house.View, step float64, out *picture) {
	l.power += clamp(float32(step), 0, 1) * (float32(v.Light) - l.power)
	wanted := float32(0)
	if v.Exhaust {
		wanted = 1
	}
	l.exhaust += clamp(float32(step)/2, 0, 1) * (wanted - l.exhaust)
	burn := l.power * (0.35 + 0.55*float32(v.Turbulence) + 0.9*l.exhaust)
	*out = picture{}
	flames := 0
	for k := range l.sources {
		s := &l.sources[k]
		level := float32(1)
		switch s.role {
		case daylight:
			level = 0.8 + 0.4*noise(l.seed, float32(v.Time/240), 0)
		case lamp:
		case flame:
			flames++
			level = burn * (0.3 + 1.4*noise(l.seed+uint32(flames), float32(v.Time*3), 3))
		case floorGlow:
			level = l.power * (0.7 + 0.6*noise(l.seed+9, float32(v.Time/5), 0))
		case sunbeam:
			level = ramp(0.35, 0.65, noise(l.seed+11, float32(v.Time/90), float32(s.phase)*50))
		}
		if level < 0.003 {
			continue
		}
		for y := range side {
			now := level
			if s.role == lamp {
				now *= 1 - s.flicker*(0.5+0.5*sin(2*math.Pi*(l.mains*(v.Time+float64(y)*l.readout)+s.phase)))
			}
			row := s.layer[y*side : (y+1)*side]
			to := out[y*side : (y+1)*side]
			for x, c := range row {
				to[x][0] += now * c[0]
				to[x][1] += now * c[1]
				to[x][2] += now * c[2]
			}
		}
	}
}
