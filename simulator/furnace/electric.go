package furnace

import (
	"math"
	"math/rand/v2"
)

// Period is the time between two values of the PLC.
const Period = 0.5

// FullScale is where the current sensor clips, in amperes.
const FullScale = 20000

// Constants of the three arcs at the nominal 15 kA, fitted to a real furnace's
// half-hour in normal work (fit_test.go holds them to it).
const (
	nominal = 15000.0 // amperes

	arcGain   = 0.5513 * 5.27e-7 // self-heating: the arc widens with its own current
	driveGain = 3.4641 * 2.42e-7 // electrode speed to current
	leak      = 0.06             // pull towards the set-point, a step

	driveIdle = 0.3    // speed command that balances the electrode's burning off
	driveSlop = 0.0021 // speed command an ampere beyond the dead band
	deadBand  = 700.0  // amperes
	driveMax  = 10.0

	normalSigma   = 970.0 // innovation of a phase, amperes
	memory        = 0.1   // of the innovation
	commonShare   = 0.38  // of its variance, common to the phases
	vigourSpread  = 0.24  // of the logarithm of sigma, which wanders
	vigourSeconds = 90.0
	wanderAmps    = 650.0 // slow difference between the phases
	wanderSeconds = 25.0

	dipsPerMinute = 0.9
)

// regime is what the state and its overlays ask of the arcs.
type regime struct {
	level  float64 // share of the set-point: 0 is off
	sigma  float64 // amperes at nominal
	wander float64 // share of the normal slow wander
	calm   float64 // 0 normal … 1 quiet: suppresses dips and the wander of vigour
	hold   float64 // how far the episode's phase offsets are held
	manual bool
	drops  bool
	lost   float64 // extinction under way: seconds since it began, −1 when none
	slip   float64 // electrode slip: share of a full slip
	phase  int     // the phase that an extinction or slip strikes
}

// arcs is the electrical side: three coupled arcs and their electrode control.
type arcs struct {
	rng     *rand.Rand
	batch   Batch
	scale   float64 // set-point / nominal
	level   [3]float64
	noise   [3]float64
	vigour  float64
	slow    [3]float64
	dip     [3][]float64 // factors still to come
	drop    int          // samples of a drop-out still to come
	dropped [3]bool
	out     [3]float64
	drive   [3]float64
}

func newArcs(b Batch, rng *rand.Rand) *arcs {
	a := &arcs{rng: rng, batch: b, scale: b.SetPoint / nominal}
	for p := range a.level {
		a.level[p], a.out[p] = b.SetPoint, b.SetPoint
		a.slow[p] = rng.NormFloat64() * wanderAmps
	}
	a.vigour = rng.NormFloat64() * vigourSpread
	return a
}

// step advances by one Period and returns the reported currents in amperes.
func (a *arcs) step(r regime, offsets [3]float64) [3]float64 {
	if r.level <= 0 {
		return a.dead()
	}
	a.vigour = wander(a.rng, a.vigour, vigourSpread, vigourSeconds)
	sigma := a.batch.Turbulence * a.scale * r.sigma * math.Exp(a.vigour*(1-0.7*r.calm))
	common := studentT6(a.rng)
	a.startDrop(r)
	for p := range a.level {
		a.slow[p] = wander(a.rng, a.slow[p], wanderAmps, wanderSeconds)
		n := math.Sqrt(commonShare)*common + math.Sqrt(1-commonShare)*studentT6(a.rng)
		a.noise[p] = memory*a.noise[p] + sigma*n
		a.advance(p, r)
		held := a.batch.SetPoint * (a.batch.Offsets[p] + r.hold*offsets[p])
		value := a.level[p] + a.slow[p]*r.wander*a.scale + held
		a.out[p] = a.disturb(p, value*r.level, r)
	}
	return a.out
}

// advance moves the arc of one phase: it feeds on its own current, and the
// electrode follows the reported current outside a dead band.
func (a *arcs) advance(p int, r regime) {
	e := a.out[p] - a.batch.SetPoint*r.level
	u := driveIdle + driveSlop*math.Copysign(max(math.Abs(e)-deadBand*a.scale, 0), e)/a.scale
	if r.manual {
		u = driveIdle
	}
	a.drive[p] = clamp(u, -driveMax, driveMax)
	x := a.level[p]
	square := x * x / a.scale
	x += arcGain*square - driveGain*a.drive[p]*square + a.noise[p] - leak*(x-a.batch.SetPoint)
	a.level[p] = clamp(x, 0.02*a.batch.SetPoint, 1.5*FullScale)
}

// disturb lays the short events over the current of one phase.
func (a *arcs) disturb(p int, value float64, r regime) float64 {
	if len(a.dip[p]) == 0 && a.rng.Float64() < dipsPerMinute/120/3*(1-r.calm) {
		depth := uniform(a.rng, 0.2, 0.6)
		a.dip[p] = []float64{1 - 0.4*depth, 1 - depth, 1 - 0.3*depth}
	}
	if len(a.dip[p]) > 0 {
		value *= a.dip[p][0]
		a.dip[p] = a.dip[p][1:]
	}
	switch {
	case r.lost >= 3:
		value = max(value, uniform(a.rng, 18500, 21000)*a.scale) // the arc strikes again and overshoots
	case r.lost >= 0 && p == r.phase:
		value = uniform(a.rng, 100, 300)
	case r.lost >= 0:
		value *= 0.75
	}
	if p == r.phase {
		value += r.slip * 0.3 * a.batch.SetPoint
	}
	if a.drop > 0 && a.dropped[p] {
		value = uniform(a.rng, 0, 60)
	}
	return clamp(value, 0, FullScale)
}

// startDrop begins a rectangular drop-out now and then.
func (a *arcs) startDrop(r regime) {
	if a.drop > 0 {
		a.drop--
		return
	}
	if !r.drops || a.rng.Float64() >= Period*dropsPerHour/3600 {
		return
	}
	a.drop = 2 + a.rng.IntN(9)
	all := a.rng.IntN(2) == 0
	one := a.rng.IntN(3)
	for p := range a.dropped {
		a.dropped[p] = all || p == one
	}
}

// dead is a furnace without power: the sensors' own noise.
func (a *arcs) dead() [3]float64 {
	for p := range a.out {
		a.level[p], a.noise[p], a.drive[p] = 0.05*a.batch.SetPoint, 0, 0
		a.out[p] = math.Abs(a.rng.NormFloat64()) * 12
	}
	return a.out
}

// wander advances an Ornstein–Uhlenbeck process of the given spread and time
// constant by one Period.
func wander(r *rand.Rand, x, spread, seconds float64) float64 {
	keep := math.Exp(-Period / seconds)
	return x*keep + spread*math.Sqrt(1-keep*keep)*r.NormFloat64()
}

// studentT6 draws from Student's t with 6 degrees of freedom, scaled to variance 1.
func studentT6(r *rand.Rand) float64 {
	var chi float64
	for range 6 {
		g := r.NormFloat64()
		chi += g * g
	}
	return r.NormFloat64() / math.Sqrt(chi/6) * math.Sqrt(4.0/6)
}
