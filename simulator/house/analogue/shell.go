package analogue

import "math"

// typicalEmissivity is that of oxidised steel (Incropera and DeWitt 2002: 0.7–0.9).
const typicalEmissivity = 0.75

// shell is the fixed part of the scene: what each light makes of it, and what glows.
type shell struct {
	paint                       [area]colour // diffuse reflectance
	byHall, byFire, byNeighbour [area]colour // radiance, cd/m², of each light at level 1
	open                        [area]float32
	emissivity                  [area]float32
	wall                        [area]bool // the shell, not the hall behind it
	lit                         colour     // mean radiance of the lit wall, cd/m²
	// Temperatures in kelvin: of first visible glow, of the grown spot, of overheating.
	first, peak, dull float32
}

// coats are what shells are painted with, as reflectance: bare steel, red oxide primer,
// grey, green, blue, aluminium paint, soot.
var coats = []colour{
	{0.24, 0.23, 0.22}, {0.30, 0.15, 0.10}, {0.33, 0.33, 0.33}, {0.16, 0.25, 0.18},
	{0.14, 0.19, 0.28}, {0.50, 0.49, 0.46}, {0.09, 0.085, 0.08},
}

func (s *shell) build(r dice, t *traits) {
	s.coat(r)
	s.weld(r)
	s.background(r, t)
	s.obstruct(r)
	s.shine(r, t)
	s.lookAlikes(r)
}

// coat paints the wall: base coat, scale, rust, streaks and lime.
func (s *shell) coat(r dice) {
	base := coats[r.IntN(len(coats))]
	rust, lime := colour{0.28, 0.13, 0.06}, colour{0.62, 0.60, 0.55}
	scale := r.texture(side, 5+r.IntN(8), 5+r.IntN(8), 4)
	patches, stains := r.texture(side, 3, 3, 3), r.texture(side, 4, 3, 4)
	streaks := r.texture(side, 16+r.IntN(16), 2, 2)
	rough, run := r.between(0.3, 1.1), r.between(0, 0.7)
	rusty, limy := r.between(0.5, 1.1), r.between(0.62, 1.1)
	for i := range area {
		bright := (1 + rough*(scale[i]-0.5)) * (1 + run*(streaks[i]-0.5))
		red, pale := 0.8*step(rusty, rusty+0.15, patches[i]), 0.8*step(limy, limy+0.08, stains[i])
		for k := range 3 {
			s.paint[i][k] = max(0.02, mix(mix(base[k], rust[k], red), lime[k], pale)*bright)
		}
		s.emissivity[i] = 0.6 + 0.3*scale[i]
		s.open[i], s.wall[i] = 1, true
	}
}

// weld adds ribs with a lit upper and a shaded lower edge, rivets along them, and plates
// of another shade.
func (s *shell) weld(r dice) {
	for range r.IntN(3) {
		x, y, w, h := r.IntN(side), r.IntN(side), 6+r.IntN(25), 6+r.IntN(20)
		shade := r.between(0.6, 1.5)
		for j := y; j < min(y+h, side); j++ {
			for i := x; i < min(x+w, side); i++ {
				s.dab(i, j, shade)
			}
		}
	}
	depth, riveted := r.between(0.15, 0.5), r.chance(0.5)
	for range r.IntN(4) {
		at, upright := r.IntN(side), r.chance(0.4)
		for i := range side {
			for k, shade := range []float32{1 + depth, 1, 1 - depth} {
				if upright {
					s.dab(at+k, i, shade)
				} else {
					s.dab(i, at+k, shade)
				}
			}
			if riveted && i%5 == 0 {
				x, y := i, at+5
				if upright {
					x, y = at+5, i
				}
				s.dab(x, y, 1+1.5*depth)
				s.dab(x, y+1, 1-depth)
			}
		}
	}
}

func (s *shell) dab(x, y int, shade float32) {
	if x >= 0 && x < side && y >= 0 && y < side {
		s.paint[y*side+x] = s.paint[y*side+x].times(shade)
	}
}

// background replaces what is not shell by the dark hall.
func (s *shell) background(r dice, t *traits) {
	dark := r.between(0.02, 0.08)
	clutter := r.texture(side, 6, 4, 3)
	for i := range area {
		x, y := place(i)
		if x < t.left || x > t.right || y < t.mouth {
			s.wall[i], s.open[i] = false, 0
			s.paint[i] = colour{dark, dark, dark}.times(0.4 + clutter[i])
		}
	}
}

// obstruct puts a ladder or a pipe in front of the shell in some melts.
func (s *shell) obstruct(r dice) {
	what := r.Float32()
	at, lean, shade := r.between(0.05, 0.95), r.between(-0.15, 0.15), r.between(0.04, 0.3)
	for i := range area {
		x, y := place(i)
		off := x - at - lean*y
		var front bool
		round := float32(1)
		switch {
		case what < 0.15: // a ladder: two rails and rungs
			rung := math.Mod(float64(y), 0.11) < 0.02
			front = off > 0 && off < 0.02 || off > 0.14 && off < 0.16 || rung && off > 0 && off < 0.16
		case what < 0.3: // a pipe, lit along its middle
			front = off > 0 && off < 0.06
			round = 0.4 + 2*step(0.03, 0, max(off-0.025, 0.025-off))
		}
		if front {
			s.open[i] = 0
			s.paint[i] = colour{shade, shade, shade}.times(round)
		}
	}
}

// place is the centre of a pixel in shares of the crop's side.
func place(i int) (x, y float32) {
	return (float32(i%side) + 0.5) / side, (float32(i/side) + 0.5) / side
}
