package relaxation

import (
	"math/rand/v2"

	"meltwatch/simulator/house"
)

// amplitude is how strongly the bath stirs: the fast, the middle and the slow processes,
// the foam's share and the rate of bursts, each 1 in normal work. level shifts the
// conductance.
type amplitude struct{ fast, middle, slow, foam, bursts, level float64 }

// of is the amplitude of process k.
func (a amplitude) of(k int) float64 {
	switch {
	case k < 3:
		return a.fast
	case k < 5:
		return a.middle
	}
	return a.slow
}

// stir turns a demand into the amplitude of the bath's processes.
type stir struct {
	calm, feeding, exhaust float64
	// work follows feeding and exhaust within seconds: charge melts and gas leaves
	// gradually.
	work, level float64
	episode     int
	quiet       amplitude
}

func newStir(r *rand.Rand) stir {
	return stir{
		calm: 0.12 + 0.25*r.Float64(), feeding: 0.72 + 0.15*r.Float64(), exhaust: 1.15 + 0.25*r.Float64(),
		work: 1, quiet: amplitude{1, 1, 1, 1, 1, 0},
	}
}

func (s *stir) amplitude(r *rand.Rand, d house.Demand) amplitude {
	if d.Episode != s.episode {
		s.episode = d.Episode
		s.quiet = quietest(r, d.Kind)
	}
	work, level := 1.0, 0.0
	if d.Feeding {
		work, level = s.feeding, -0.03
	}
	if d.Exhaust {
		work, level = work*s.exhaust, level+0.01
	}
	s.work += 0.12 * (work - s.work)
	s.level += 0.12 * (level - s.level)
	calm := mix(1, s.calm, d.Calm)
	q := 0.0
	if d.Episode > 0 {
		q = d.Quiet
	}
	// A quiet bath doesn't answer the crew's work either.
	work = mix(s.work, 1, q)
	return amplitude{
		fast:   min(calm, mix(1, s.quiet.fast, q)) * work,
		middle: min(calm, mix(1, s.quiet.middle, q)) * work,
		slow:   min(mix(1, 0.6, d.Calm), mix(1, s.quiet.slow, q)),
		foam:   mix(1, s.quiet.foam, q),
		bursts: min(calm*calm, mix(1, s.quiet.bursts, q)) * work,
		level:  s.level*(1-q) + q*s.quiet.level,
	}
}

// quietest draws how quiet an episode becomes. A viscous pool holds its gas: the arc's
// foot and the pool come to rest, while the crucible still drifts.
func quietest(r *rand.Rand, k house.Kind) amplitude {
	level := 0.03 * r.NormFloat64()
	if k == house.Flat {
		base := 0.08 + 0.09*r.Float64()
		return amplitude{fast: base, middle: base, slow: base + 0.12*r.Float64(), foam: 0.3, bursts: 0, level: level}
	}
	base := 0.33 + 0.27*r.Float64()
	a := amplitude{fast: base, middle: base, slow: base, foam: 0.7, bursts: base * base, level: level}
	if r.Float64() < 0.2 {
		// The fast processes are nearly still, and a slow wander is left.
		a.fast, a.middle, a.slow = 0.12+0.1*r.Float64(), 0.6, 1.3
	}
	return a
}

// dropOut is a rectangular loss of one or more phases in an episode of that kind.
type dropOut struct {
	left  float64
	parts [phases]float64
}

// dropOutEvery is the mean time between two, in seconds, when the episode is quiet.
const dropOutEvery = 35

func (o *dropOut) apply(r *rand.Rand, d house.Demand, out *[phases]float64) {
	if d.Episode == 0 || d.Kind != house.DropOuts {
		o.left = 0
		return
	}
	if o.left <= 0 && r.Float64() < d.Quiet*house.Period/dropOutEvery {
		o.left = 1 + 4*r.Float64()
		residue := 0.03 * r.Float64()
		o.parts = [phases]float64{residue, residue, residue}
		if r.Float64() < 0.65 {
			o.parts = [phases]float64{1, 1, 1}
			o.parts[r.IntN(phases)] = residue
		}
	}
	if o.left <= 0 {
		return
	}
	o.left -= house.Period
	for p := range out {
		out[p] *= o.parts[p]
	}
}

// loss is an arc that goes out and comes back.
type loss struct {
	residue, overshoot float64
	second             bool
}

func (l *loss) apply(r *rand.Rand, d house.Demand, setPoint float64, out *[phases]float64) {
	if d.Lost < 0 || d.Power == 0 {
		l.residue = 0
		return
	}
	if l.residue == 0 {
		l.residue = 100 + 200*r.Float64()
		l.overshoot = 19000 + 1000*r.Float64()
		l.second = r.Float64() < 0.5
	}
	switch {
	case d.Lost < 3:
		for p := range out {
			if p == d.Phase {
				out[p] = min(l.residue+8*r.NormFloat64(), out[p])
			} else {
				out[p] *= 0.75
			}
		}
	case d.Lost < 3.5 || d.Lost < 4 && l.second:
		for p := range out {
			out[p] = d.Power * setPoint / 15000 * (l.overshoot + 150*r.NormFloat64())
		}
	}
}

func mix(a, b, share float64) float64 { return a + (b-a)*share }
