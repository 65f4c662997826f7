package spray

import (
	"math"
	"math/rand/v2"
)

// shell is the surface of the furnace: what it is made of and how light falls on it.
type shell struct {
	dry, wet   picture // albedo
	pale       rgb     // albedo of dry limescale over a heat source
	film       grid    // thickness of the running water, 0–1
	lampShade  plane   // how much of the lamp's light arrives
	flameShade plane
	lampGloss  plane // mirrored light on a wet surface
	flameGloss plane
	ripple     plane // of the running film
	oxide      plane // scale on hot metal, which glows less
	cracks     plane // order in which crust closes over a spot
	speed      float32
}

func newShell(r *rand.Rand, l light) shell {
	s := shell{
		ripple: layered(r, [2]int{2, 16}, [2]int{4, 8}, [2]int{2, 4}),
		oxide:  layered(r, [2]int{8, 8}, [2]int{4, 4}),
		cracks: layered(r, [2]int{16, 8}, [2]int{8, 4}),
		speed:  uniform(r, 15, 45),
	}
	water := streaks(r)
	for i := range s.film {
		p := i/cells*2*side + i%cells*2
		s.film[i] = (water[p] + water[p+1] + water[p+side] + water[p+side+1]) / 4
	}
	for i, v := range s.ripple { // only the crests mirror a light
		s.ripple[i] = max(0, 2.6*v-0.7)
	}
	s.paint(r)
	s.shade(r, l)
	return s
}

// streaks is where the water of a row of nozzles runs: broad below each nozzle, broken
// where the metal repels it.
func streaks(r *rand.Rand) plane {
	var water plane
	meander := layered(r, [2]int{32, 32}, [2]int{16, 16})
	broken := layered(r, [2]int{8, 32}, [2]int{4, 16}, [2]int{2, 8})
	everywhere := uniform(r, 0.05, 0.35)
	nozzles := 3 + r.IntN(5)
	for n := range nozzles {
		x := (float32(n) + uniform(r, 0.2, 0.8)) / float32(nozzles) * side
		width, flow := uniform(r, 3, 8), uniform(r, 0.4, 1.1)
		spread, sway := uniform(r, 0.02, 0.1), uniform(r, 3, 12)
		for i := range water {
			px, py := float32(i%side), float32(i/side)
			w := width + spread*py
			d := (px - x - sway*(meander[i]-0.5)*py/side*2) / w
			if d*d < 9 {
				water[i] += flow * exp(-d*d) * width / w
			}
		}
	}
	for i, w := range water {
		water[i] = clamp(everywhere + w*clamp(broken[i]*2.4-0.4))
	}
	return water
}

// paint draws rust, paint and limescale. Water halves an albedo or more, since light that
// enters a wet surface is reflected back into it.
func (s *shell) paint(r *rand.Rand) {
	rust := rgb{uniform(r, 0.2, 0.38), uniform(r, 0.14, 0.22), uniform(r, 0.08, 0.15)}
	paint := rust
	if r.Float32() < 0.5 { // grey primer shows between the rust
		grey := uniform(r, 0.14, 0.34)
		paint = rgb{grey, grey * uniform(r, 0.95, 1.05), grey * uniform(r, 0.92, 1.1)}
	}
	lime := uniform(r, 0.4, 0.62)
	s.pale = rgb{lime, lime * uniform(r, 0.9, 0.98), lime * uniform(r, 0.76, 0.93)}
	blotch := layered(r, [2]int{16, 16}, [2]int{8, 8}, [2]int{2, 2})
	scale := layered(r, [2]int{8, 32}, [2]int{4, 16}, [2]int{2, 4})
	grain := layered(r, [2]int{2, 2}, [2]int{1, 1})
	limed, darkening := uniform(r, 0.2, 0.7), uniform(r, 0.3, 0.5)
	rim, seam, pipe := uniform(r, 0, 0.14)*side, uniform(r, 0.15, 1.6)*side, uniform(r, -0.4, 0.08)*side
	for i := range blotch {
		x, y := float32(i%side), float32(i/side)
		light := 0.75 + 0.5*grain[i]
		if d := x - seam; d*d < 2.5 {
			light *= 0.8 // a weld
		}
		if y > side-rim {
			light *= 0.6 // the base
		}
		if d := y - pipe; d > 0 && d < 4 {
			light *= 0.45 + 0.15*d // the pipe of the nozzles
		}
		bare, crust := clamp(blotch[i]*2.5-0.75), limed*clamp(scale[i]*3-1.6)
		for c := range rust {
			dry := (rust[c]*bare + paint[c]*(1-bare)) * light
			dry += (s.pale[c] - dry) * crust
			s.dry[i][c], s.wet[i][c] = dry, dry*darkening
		}
	}
}

// shade lights the shell, a part of a cylinder, and mirrors the lamp and the flame in it.
func (s *shell) shade(r *rand.Rand, l light) {
	radius, middle := uniform(r, 0.6, 2), uniform(r, 0.3, 0.7)
	warped := layered(r, [2]int{32, 32}, [2]int{16, 16})
	dents := uniform(r, 0.05, 0.25)
	sharp := uniform(r, 25, 90)
	for i := range s.lampShade {
		x, y := float32(i%side)/side, float32(i/side)/side
		nx := min(max((x-middle)/radius, -0.95), 0.95) + dents*(warped[i]-0.5)
		normal := unit(rgb{nx, dents * (warped[(i+side*24)%(side*side)] - 0.5), float32(math.Sqrt(float64(1 - min(nx*nx, 0.95))))})
		toLamp := unit(rgb{l.lampX - x, l.lampY - y, l.lampZ})
		toFlame := unit(rgb{l.flameX - x, -0.12 - y, 0.25})
		s.lampShade[i] = 0.12 + 0.88*max(dot(normal, toLamp), 0)
		distance := float32(math.Hypot(float64(l.flameX-x), float64(y+0.12)))
		s.flameShade[i] = max(dot(normal, toFlame), 0) / (0.25 + 4*distance*distance)
		s.lampGloss[i] = 0.5 * mirror(normal, toLamp, sharp)
		s.flameGloss[i] = 0.3 * mirror(normal, toFlame, sharp/3) / (0.4 + 2*distance)
	}
}

// mirror is how much of a light a glossy surface mirrors to the camera, by Blinn and Phong.
func mirror(normal, light rgb, sharp float32) float32 {
	half := unit(rgb{light[0], light[1], light[2] + 1})
	return float32(math.Pow(float64(max(dot(normal, half), 0)), float64(sharp)))
}

// crust is how far a crust or the spray hides the spot at a pixel.
func (s *shell) crust(pixel int, cover float64) float32 {
	if cover <= 0 {
		return 0
	}
	return clamp((float32(cover)*1.35 - s.cracks[pixel] + 0.02) * 5)
}

func dot(a, b rgb) float32 { return a[0]*b[0] + a[1]*b[1] + a[2]*b[2] }

func unit(a rgb) rgb {
	n := float32(math.Sqrt(float64(dot(a, a))))
	return rgb{a[0] / n, a[1] / n, a[2] / n}
}
