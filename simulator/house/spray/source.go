package spray

import (
	"math"
	"math/rand/v2"
	"slices"

	"meltwatch/simulator/house"
)

// spread is how far conduction carries the dry patch beyond the source, in cells.
const spread = 1.6

// contact is how fast the source heats the sheet, in shares of the difference a second.
const contact = 1.4

// source is the melt that eats into the lining behind the shell.
type source struct {
	cover grid // share of each cell that it touches
	heat  grid // its temperature, °C

	episode int
	seed    uint64
	growth  float64
	depth   grid // distance from the edge of the place, in cells, largest in its middle
	sorted  []float32
	full    float32 // cells that it touches when fully grown
	hottest float32 // °C when fully grown
}

// follow takes the source's place and size from a spot.
func (s *source) follow(spot house.Spot) {
	if spot.Episode == 0 {
		if s.episode != 0 {
			*s = source{}
		}
		return
	}
	if s.episode != spot.Episode || s.seed != spot.Seed {
		*s = newSource(spot)
	} else if s.growth == spot.Growth {
		return
	}
	s.growth = spot.Growth
	g := float32(min(max(spot.Growth, 0), 1))
	area := 0.5 + (s.full-0.5)*g*exp(0.35*float32(math.Log(float64(max(g, 0.01)))))
	at := s.sorted[min(int(area), len(s.sorted)-1)]
	peak := s.temperatureAt(g)
	for i, d := range s.depth {
		touched := clamp(d - at + 0.75)
		s.cover[i] = touched * touched // the lining is thicker at the rim
		// The rim is cooler than the middle, where the lining is thinnest.
		s.heat[i] = 0.55*peak + 0.45*peak*clamp((d-at)/(s.sorted[0]-at+0.5)*1.6+0.15)
	}
}

// temperatureAt is the temperature of the source's middle. The metal glows from about
// 600 °C on, so the first third of the growth only dries it.
func (s *source) temperatureAt(growth float32) float32 {
	knots := [...]struct{ growth, share float32 }{{0, 0.25}, {0.15, 0.36}, {0.35, 0.53}, {0.6, 0.73}, {1, 1}}
	for i := 1; i < len(knots); i++ {
		if a, b := knots[i-1], knots[i]; growth <= b.growth {
			return s.hottest * (a.share + (b.share-a.share)*(growth-a.growth)/(b.growth-a.growth))
		}
	}
	return s.hottest
}

// newSource draws a place: one to three warped round parts that touch.
func newSource(spot house.Spot) source {
	r := rand.New(rand.NewPCG(spot.Seed, 0x68656174))
	s := source{episode: spot.Episode, seed: spot.Seed, growth: -1}
	// Conduction dries the film beyond the source, by about spread cells.
	radius := float32(math.Sqrt(float64(uniform(r, 0.015, 0.05)*cells*cells/math.Pi))) - spread
	s.full = radius * radius * math.Pi
	s.hottest = uniform(r, 1400, 1560)
	type part struct{ x, y, radius, stretch float32 }
	x, y := uniform(r, 0.24, 0.76)*cells, uniform(r, 0.26, 0.76)*cells
	parts := []part{{x, y, radius, uniform(r, 0.7, 1.4)}}
	for range r.IntN(3) {
		angle := 2 * math.Pi * r.Float64()
		away := radius * uniform(r, 0.6, 1.5)
		parts = append(parts, part{
			x + away*float32(math.Cos(angle)), y + away*float32(math.Sin(angle)),
			radius * uniform(r, 0.5, 0.85), uniform(r, 0.7, 1.4),
		})
	}
	warp := layered(r, [2]int{16, 16}, [2]int{8, 8})
	roughness := uniform(r, 0.7, 1.4) * radius
	for i := range s.depth {
		px, py := float32(i%cells)+0.5, float32(i/cells)+0.5
		depth := float32(-cells)
		for _, p := range parts {
			dx, dy := (px-p.x)*p.stretch, (py-p.y)/p.stretch
			depth = max(depth, p.radius-float32(math.Hypot(float64(dx), float64(dy))))
		}
		s.depth[i] = depth + roughness*(warp[i/cells*2*side+i%cells*2]-0.5)*2
	}
	s.sorted = slices.Clone(s.depth[:])
	slices.SortFunc(s.sorted, func(a, b float32) int {
		switch {
		case a > b:
			return -1
		case a < b:
			return 1
		}
		return 0
	})
	return s
}
