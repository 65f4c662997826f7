package nightcam

import "math"

// material is a surface's reflectance in the near infrared and in red, green and blue.
// Paint and rust are much brighter in the infrared than to the eye.
type material struct {
	infrared float64
	visible  [3]float64
}

var (
	soot       = material{0.05, [3]float64{0.05, 0.048, 0.045}}
	scale      = material{0.22, [3]float64{0.18, 0.15, 0.13}}
	rust       = material{0.36, [3]float64{0.30, 0.17, 0.11}}
	lime       = material{0.78, [3]float64{0.74, 0.71, 0.66}}
	refractory = material{0.56, [3]float64{0.50, 0.43, 0.36}}
	steel      = material{0.40, [3]float64{0.38, 0.38, 0.39}}
	paint      = material{0.60, [3]float64{0.16, 0.22, 0.36}}
	wall       = material{0.30, [3]float64{0.28, 0.27, 0.25}}
)

// shell is what stands before the camera and does not move, pixel by pixel.
type shell struct {
	traits

	albedo [3][]float64
	on     []bool    // the shell itself, where a spot can burn
	facing []float64 // cosine between the surface and the line of sight
	round  []float64 // place around the shell, −1 left edge … 1 right edge
	along  []float64 // the same measured on the surface, crop sides
	down   []float64 // below the rim, crop sides
	wet    []float64 // share covered by water film
	shiny  []float64 // share of bare metal
	warm   []float64 // pattern of an overheated shell, 0–1

	beam, door, fire []float64 // light of the diodes, the door and the flame, 0–1
	gleam            []float64 // mirror-like return of light
}

func newShell(d dice, g grain, t traits) *shell {
	s := &shell{traits: t, on: make([]bool, area)}
	for b := range s.albedo {
		s.albedo[b] = make([]float64, area)
	}
	for _, p := range []*[]float64{&s.facing, &s.round, &s.along, &s.down, &s.wet, &s.shiny, &s.warm, &s.beam, &s.door, &s.fire, &s.gleam} {
		*p = make([]float64, area)
	}
	s.stand(d)
	s.stain(d, g)
	s.fit(d, g)
	s.light(d, g)
	return s
}

// stand places a round, slightly conical shell before a wall.
func (s *shell) stand(d dice) {
	middle, radius := d.between(0.15, 0.85), d.logBetween(0.45, 2)
	taper, tilt := d.between(-0.12, 0.12), d.between(-0.09, 0.09)
	sag := d.between(0, 0.1) // the rim's curve, seen from above
	sin, cos := math.Sincos(tilt)
	for i := range area {
		x, y := place(i)
		x, y = (x-0.5)*cos+(y-0.5)*sin+0.5, (y-0.5)*cos-(x-0.5)*sin+0.5
		r := radius * (1 + taper*(y-0.5))
		s.round[i] = (x - middle) / r
		s.down[i] = y - s.rim + sag*(s.round[i]*s.round[i]-0.5)
		if math.Abs(s.round[i]) < 0.995 {
			s.facing[i] = math.Sqrt(1 - s.round[i]*s.round[i])
			s.along[i] = math.Asin(s.round[i]) * radius
			s.on[i] = s.down[i] > 0
		}
		if !s.on[i] {
			s.facing[i] = 0.5
		}
	}
}

// coat covers a share of a pixel with a material.
func (s *shell) coat(i int, m material, share float64) {
	share = clip(share, 0, 1)
	grey := (m.visible[0] + m.visible[1] + m.visible[2]) / 3
	for b := range s.albedo {
		target := m.infrared
		switch s.mode {
		case day:
			target = grey + (m.visible[b]-grey)*s.colour
		case open:
			target = 0.6*m.infrared + 0.4*(grey+(m.visible[b]-grey)*s.colour)
		}
		s.albedo[b][i] += (target - s.albedo[b][i]) * share
	}
}

// shade scales what a pixel returns.
func (s *shell) shade(i int, by float64) {
	for b := range s.albedo {
		s.albedo[b][i] *= by
	}
}

// stain covers the shell with scale and rust, soot and lime that ran down, patches of
// refractory and water film.
func (s *shell) stain(d dice, g grain) {
	rusty, sooty, limy := d.Float64(), d.between(0.1, 0.75), d.between(0, 0.55)
	size, streak := d.between(0.5, 1.3), d.between(2, 6)
	bare := max(0, d.between(-0.3, 0.5))
	wet := max(0, d.between(-0.3, 0.6))
	ox, oy := d.Float64(), d.Float64()
	for i := range area {
		x, y := place(i)
		if !s.on[i] {
			s.coat(i, wall, 1)
			s.shade(i, d.between(0.9, 1)*(0.35+0.5*g.at(0.6*x+oy, 0.6*y+ox)))
			continue
		}
		u, v := s.along[i]*size+ox, s.down[i]*size+oy
		s.coat(i, scale, 1)
		s.coat(i, rust, rusty*ramp(g.at(u, v), 0.4, 0.8))
		s.coat(i, steel, ramp(g.at(0.5*u+0.3, 0.5*v), 1-bare, 1.1-bare))
		s.shiny[i] = ramp(g.at(0.5*u+0.3, 0.5*v), 1-bare, 1.1-bare)
		runs := 0.65*g.at(streak*u, 0.35*v) + 0.35*g.at(u+0.5, v)
		s.coat(i, soot, 0.9*ramp(runs+0.25*(0.5-s.down[i]), 0.95-sooty, 1.2-sooty))
		runs = 0.6*g.at(streak*u+0.4, 0.3*v+0.6) + 0.4*g.at(u+0.2, v+0.7)
		s.coat(i, lime, 0.9*ramp(runs, 1-limy, 1.12-limy))
		s.wet[i] = ramp(0.7*g.at(2*u+0.6, 0.25*v)+0.3*g.at(0.7*u, 0.7*v+0.2), 0.95-wet, 1.05-wet)
		s.warm[i] = g.at(0.4*u+0.1, 0.4*v+0.8)
	}
	for range d.IntN(4) {
		s.patch(d, g)
	}
	for i := range area {
		fine, _ := place(i)
		s.shade(i, (1-0.5*s.wet[i])*(0.8+0.4*g.at(3.1*s.along[i]+fine*0.2, 3.1*s.down[i])))
	}
}

// patch is a hand-laid repair with refractory, or a welded plate.
func (s *shell) patch(d dice, g grain) {
	x, y, w, h := d.between(-0.5, 0.5), d.between(0.1, 0.9), d.between(0.05, 0.2), d.between(0.04, 0.16)
	m, ragged := refractory, d.between(0.02, 0.1)
	if d.chance(0.4) {
		m, ragged = steel, 0.005
	}
	for i := range area {
		if !s.on[i] {
			continue
		}
		edge := max(math.Abs(s.along[i]-x)/w, math.Abs(s.down[i]-y)/h) + ragged/w*(g.at(2*s.along[i], 2*s.down[i])-0.5)
		s.coat(i, m, 0.85*ramp(edge, 1.05, 0.95))
		s.shade(i, 1-0.45*ramp(math.Abs(edge-1.06), 0.12, 0.03))
	}
}

func (s *shell) emissivity(i int) float64 { return 1 - 0.55*s.albedo[0][i] }
