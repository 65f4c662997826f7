package spray

import (
	"math"
	"math/rand/v2"

	"meltwatch/simulator/house"
)

// ambient is the temperature of the hall and of the water, in °C.
const ambient = 30

// longestStep keeps the explicit scheme stable, in seconds.
const longestStep = 0.25

// thinned is the share of the water that is left on an overheated shell.
const thinned = 0.6

// sheet is the shell as a sheet of metal with a film of water on it. Temperatures are in
// °C, losses in shares of the excess temperature a second.
type sheet struct {
	temperature grid
	film        grid // thickness of the water, 0–1
	dried       grid // how far the source has dried the film or heated dry metal, 0–1
	boiling     grid // water that turns to steam, a second

	supply       grid    // thickness of the film without boiling
	inside       grid    // heating by the melt, °C/s
	conduction   float32 // cells²/s
	airLoss      float32
	waterLoss    float32
	refill       float32 // seconds
	fromAbove    float32 // share of the water that comes from the cell above
	boilingPower float32 // share of the film that boils off in a second at 100 K above boiling
	scratch      grid
}

// newSheet draws a sheet of metal. It is thin, so its temperature follows the source
// within seconds.
func newSheet(r *rand.Rand, film grid) sheet {
	s := sheet{
		supply: film, film: film,
		conduction: uniform(r, 0.06, 0.16),
		airLoss:    uniform(r, 0.12, 0.18), waterLoss: uniform(r, 0.35, 0.6),
		refill: uniform(r, 1.5, 3), fromAbove: uniform(r, 0.3, 0.55), boilingPower: uniform(r, 1.5, 3),
	}
	hot := layered(r, [2]int{32, 32}, [2]int{16, 16})
	// Without a source the metal is warm enough to steam a little.
	low, high := uniform(r, 50, 65), uniform(r, 70, 90)
	for i := range s.inside {
		pixel := i/cells*2*side + i%cells*2
		s.temperature[i] = low + (high-low)*hot[pixel]
		// Even with the film of an overheated shell it does not boil.
		s.inside[i] = (s.temperature[i] - ambient) * (s.airLoss + thinned*s.waterLoss*film[i])
	}
	return s
}

// advance conducts heat and lets the water run for some seconds.
func (s *sheet) advance(source *source, v house.View, seconds float32) {
	n := int(math.Ceil(float64(seconds / longestStep)))
	dt := seconds / float32(n)
	supply := 1 - (1-thinned)*float32(v.Overheated)
	for range n {
		s.conduct(source, float32(v.Light), dt)
		s.run(supply, 1-float32(v.Spot.Cover), dt)
	}
	for i, t := range s.temperature {
		s.dried[i] = 0
		if t < 110 {
			continue
		}
		water := s.supply[i] * supply
		usual := ambient + s.inside[i]/(s.airLoss+s.waterLoss*water)
		if hot := clamp((t - max(usual, 100) - 20) / 90); hot > 0 {
			s.dried[i] = hot * max(clamp(1-s.film[i]/max(water, 0.05)), clamp((t-250)/200))
		}
	}
}

// conduct moves heat along the sheet for one step.
func (s *sheet) conduct(source *source, light, dt float32) {
	for y := range cells {
		up, down := max(y-1, 0)*cells, min(y+1, cells-1)*cells
		for x := range cells {
			i := y*cells + x
			t := s.temperature[i]
			around := s.temperature[up+x] + s.temperature[down+x] + s.temperature[y*cells+max(x-1, 0)] + s.temperature[y*cells+min(x+1, cells-1)]
			rate := s.conduction*(around-4*t) + s.inside[i]*light - (s.airLoss+s.waterLoss*s.film[i])*(t-ambient)
			if source.cover[i] > 0 {
				rate += contact * source.cover[i] * (source.heat[i] - t)
			}
			s.scratch[i] = t + dt*rate
		}
	}
	s.temperature = s.scratch
}

// run lets the film run down for one step. What boils away is missing below. A crust keeps
// the film from the hot metal; bare is the share without one.
func (s *sheet) run(supply, bare, dt float32) {
	settled := 1 / (1 + dt/s.refill)
	for y := cells - 1; y >= 0; y-- {
		for x := range cells {
			i := y*cells + x
			above := float32(1)
			if y > 0 && s.boiling[i-cells] > 0 {
				above = clamp(s.film[i-cells] / max(s.supply[i-cells]*supply, 0.02))
			}
			arriving := s.supply[i] * supply * (1 - s.fromAbove + s.fromAbove*above)
			boil := min(max((s.temperature[i]-98)/100, 0), 3) * s.boilingPower * bare
			// The implicit form cannot empty the film below nothing.
			if boil == 0 {
				s.film[i] = (s.film[i] + dt*arriving/s.refill) * settled
			} else {
				s.film[i] = (s.film[i] + dt*arriving/s.refill) / (1 + dt*(1/s.refill+boil))
			}
			s.boiling[i] = boil * s.film[i]
		}
	}
}
