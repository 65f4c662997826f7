package nightcam

import "math"

// The table of radiance covers the temperatures at which anything shows.
const (
	coldest = 700
	hottest = 2200
	stepK   = 10
)

// radiance is the light that a black surface sends into each band, by temperature.
type radiance [(hottest-coldest)/stepK + 1][3]float64

// band is a range of wavelengths in nanometres.
type band struct{ from, to float64 }

var (
	nearInfrared = band{700, 1000}
	visible      = [3]band{{590, 690}, {500, 590}, {420, 500}}
)

// newRadiance integrates Planck's law over the bands of a mode. A surface at the reference
// temperature sends one unit into the most sensitive band.
func newRadiance(m mode, reference float64) *radiance {
	var r radiance
	weigh := func(t float64) (e [3]float64) {
		for b := range e {
			switch m {
			case day:
				// A colour filter lets some of its neighbours' light through.
				e[b] = visible[b].power(t) + 0.05*visible[0].power(t)
			case open:
				e[b] = nearInfrared.power(t)*[3]float64{1, 0.78, 0.87}[b] + visible[b].power(t)
			default:
				e[b] = nearInfrared.power(t)
			}
		}
		return e
	}
	unit := weigh(reference)[0]
	for i := range r {
		e := weigh(coldest + stepK*float64(i))
		for b := range e {
			r[i][b] = e[b] / unit
		}
	}
	return &r
}

// at is the radiance at t kelvin; 0 below the coldest of the table.
func (r *radiance) at(t float64) [3]float64 {
	p := (min(t, hottest-1) - coldest) / stepK
	if p < 0 {
		return [3]float64{}
	}
	i, f := int(p), p-math.Floor(p)
	var e [3]float64
	for b := range e {
		e[b] = r[i][b]*(1-f) + r[i+1][b]*f
	}
	return e
}

// power is the power of a black surface in the band as silicon sees it, whose response
// falls towards 1100 nm. The unit is arbitrary.
func (b band) power(t float64) (sum float64) {
	const parts, second = 8, 1.4388e7 // second radiation constant, nm·K
	for i := range parts {
		nm := b.from + (b.to-b.from)*(float64(i)+0.5)/parts
		response := ramp(nm, 1100, 650)
		sum += response * math.Pow(nm/1000, -5) / math.Expm1(second/(nm*t)) * (b.to - b.from) / parts
	}
	return sum
}
