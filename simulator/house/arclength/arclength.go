// Package arclength is a family of currents in which everything follows from the length
// of three arcs.
//
// The principle: each arc burns between an electrode's tip and the pool below it. Gas
// bubbles are born in the melt, rise, lift the surface to a dome (the arc shortens) and
// burst; the surface falls into a crater (the arc lengthens) and closes. A few bubbles are
// jets that blow the arc sideways, long enough for a dip of the current. Gas that stays as foam lifts the pool for tens of seconds. The
// electrode burns off against a pool that rises, and a drive with a dead band corrects
// what is left. Arc voltage is affine in length; the arc's conductance follows it with a
// short lag (Cassie's arc). The three arcs hang on a transformer of fixed voltage with
// the pool as a floating star point, so one arc's change moves the other two: the
// correlation of the phases is the circuit's, not a shared noise.
//
// The semi-molten pool is viscous: bubbles are fewer, flatter and slower, and foam does
// not form. Nothing else changes in an episode: mean volume lifted and lowered are equal,
// so that the mean current does not tell of it.
//
// Random are: birth and size of the bubbles, the storms of gas that modulate both, the
// wandering root of the arc, the meter's noise, and per melt the leads, the tap, the
// electrodes' trim, the pool's liveliness and the drive.
//
// Units: millimetres, seconds, volts, ohms, amperes RMS.
package arclength

import (
	"math"
	"math/cmplx"
	"math/rand/v2"

	"meltwatch/simulator/house"
)

const (
	stream = 0xa4c1e267 // the family's own random stream

	steps = 5 // in a Period: the meter reports the RMS over them
	step  = house.Period / steps

	tapVolts      = 82.0   // phase to star point
	leadOhms      = 0.0005 // cables, clamps and electrode
	leadReactance = 0.0037 // ohms, the high-current loop
	dropVolts     = 20.0   // anode and cathode fall: the arc voltage at no length
	columnVolts   = 1.0    // volts a millimetre of arc
	arcLag        = 0.05   // seconds, of the conductance

	longest    = 2.6   // arc lengths of the set-point: a longer arc strikes sideways
	bornRate   = 0.95  // bubbles a second under each electrode
	height     = 5.7   // millimetres, median dome of a bubble
	spread     = 0.95  // of the logarithm of the height
	tallest    = 100.0 // millimetres
	meanHeight = 8.95  // millimetres, of that distribution
	foamPart   = 0.19  // of a bubble's height that stays as foam
	foamLife   = 24.0  // seconds
	rootWalk   = 0.45  // millimetres, the arc's root on the electrode
	jetShare   = 0.030 // of the bubbles
	jetLeast   = 1.0   // arc lengths of the set-point by which a jet lengthens the arc, at least
	jetMost    = 3.0   // at most
	jetLife    = 0.7   // seconds
	room       = 16    // bubbles at once under one electrode; a further one is not born

	stormLife   = 140.0 // seconds
	storminess  = 0.30  // of the logarithm of the gas
	calmResidue = 0.2   // of the bubbling in a full calm

	deadBand  = 700.0  // amperes at a set-point of 15 kA
	driveGain = 0.0004 // millimetres a second and ampere
	driveMax  = 3.0    // millimetres a second
	driveLag  = 3.0    // seconds, of the drive's own measurement

	lostSeconds = 3.0    // that an arc which went out needs to strike again
	meterNoise  = 0.0012 // of the set-point
)

type bubble struct {
	age, rise float64 // seconds
	height    float64
	jet       float64 // by how much its burst lengthens the arc
}

// arc is one electrode and the pool below it.
type arc struct {
	tip         float64 // height above the resting pool
	trim        float64 // the crew's set-point of this phase against the melt's
	lively      float64 // bubble heights of this phase against the family's
	crater      float64 // depth
	blown       float64 // by a jet
	foam        float64 // height, about its mean
	root        float64 // what the wandering root adds
	conductance float64 // siemens
	measured    float64 // amperes, as the drive sees them
	lead        complex128
	volts       complex128
	bubbles     [room]bubble
	count       int
}

type circuit struct {
	rng      *rand.Rand
	setPoint float64
	arcs     [3]arc
	rest     float64 // arc length of the set-point
	touch    float64 // arc length of 1.3 times the set-point
	drift    float64 // burn-off less the pool's rise, millimetres a second
	band     float64 // amperes
	gain     float64
	close    float64 // seconds in which a crater closes
	rate     float64 // bubbles a second
	storm    float64 // logarithm of the gas against its mean
	episode  int
	residue  float64 // of the bubbling, in a fully quiet episode
	out      int     // phase that a drop-out takes, 3 all
	outLeft  float64 // seconds
	strikes  float64 // seconds of overshoot after the arc strikes again
}

// New returns the current of one melt.
func New(s house.Setting) house.Circuit {
	r := rand.New(rand.NewPCG(s.Seed, stream))
	c := &circuit{rng: r, setPoint: s.SetPoint, residue: 1, strikes: house.Period}
	load := s.SetPoint / 15000 // a smaller batch has a lower tap and gives less gas
	tap, reactance := tapVolts*math.Pow(load, 0.7)*between(r, 0.98, 1.03), leadReactance*between(r, 0.96, 1.05)
	c.rest = lengthFor(s.SetPoint, tap, reactance)
	c.touch = lengthFor(1.3*s.SetPoint, tap, reactance)
	c.drift = between(r, -0.02, 0.02)
	c.band = deadBand * s.SetPoint / 15000 * between(r, 0.8, 1.2)
	c.gain = driveGain * between(r, 0.7, 1.3)
	c.close = between(r, 0.25, 0.4)
	c.rate = bornRate * between(r, 0.85, 1.2)
	c.storm = storminess * r.NormFloat64()
	sequence := 2.0 // the order of the phases on the leads differs between furnaces
	if r.IntN(2) == 0 {
		sequence = -2
	}
	lively := between(r, 0.93, 1.08) * math.Pow(load, 0.8)
	for p := range c.arcs {
		a := &c.arcs[p]
		a.volts = cmplx.Rect(tap, sequence*math.Pi/3*float64(p))
		a.lead = complex(leadOhms, reactance*between(r, 0.97, 1.03))
		a.trim = between(r, 0.975, 1.025)
		a.lively = lively * between(r, 0.9, 1.1)
		a.tip = c.rest
		a.measured = s.SetPoint
		a.conductance = s.SetPoint / (dropVolts + columnVolts*c.rest)
	}
	return c
}

// lengthFor is the arc length at which three equal arcs carry so many amperes.
func lengthFor(amperes, tap, reactance float64) float64 {
	across := math.Sqrt(max(0, tap*tap-reactance*reactance*amperes*amperes))
	return max(0, (across-leadOhms*amperes-dropVolts)/columnVolts)
}

// Next implements house.Circuit.
func (c *circuit) Next(d house.Demand) (reported [3]float64) {
	gas := c.bubbling(d)
	if d.Lost >= 0 && d.Lost < house.Period {
		c.strikes = house.Period * float64(1+c.rng.IntN(2))
	}
	squares := [3]float64{}
	for range steps {
		for p, amperes := range c.solve(c.lengths(d, gas)) {
			squares[p] += amperes * amperes / steps
		}
	}
	lost := c.dropOut(d)
	for p := range reported {
		amperes := math.Sqrt(squares[p])
		if !d.Manual && d.Power > 0.5 && d.Lost < 0 && d.Slip == 0 && lost == [3]bool{} {
			c.follow(&c.arcs[p], amperes)
		}
		c.arcs[p].tip += c.drift * house.Period
		switch {
		case d.Lost >= 0 && d.Lost < lostSeconds && p == d.Phase, lost[p]:
			amperes = between(c.rng, 100, 300)
		case d.Lost >= 0 && d.Lost < lostSeconds:
			amperes *= 0.75
		}
		amperes += meterNoise * c.setPoint * c.rng.NormFloat64()
		reported[p] = min(max(amperes*d.Power, 0), house.FullScale)
	}
	return reported
}

// solve returns the three currents, with the pool as the floating star point.
func (c *circuit) solve(mm [3]float64) (amperes [3]float64) {
	var admittance [3]complex128
	var sum, weighted complex128
	for p := range c.arcs {
		a := &c.arcs[p]
		r, x := real(a.lead)+1/a.conductance, imag(a.lead)
		admittance[p] = complex(r/(r*r+x*x), -x/(r*r+x*x))
		sum += admittance[p]
		weighted += admittance[p] * a.volts
	}
	star := weighted / sum
	for p := range c.arcs {
		a := &c.arcs[p]
		current := admittance[p] * (a.volts - star)
		amperes[p] = math.Sqrt(real(current)*real(current) + imag(current)*imag(current))
		// An arc too long for its voltage would go out; hot vapour keeps a residue.
		target := max(amperes[p], 0.25*c.setPoint) / (dropVolts + columnVolts*mm[p])
		a.conductance += (target - a.conductance) * step / (step + arcLag)
	}
	return amperes
}

// follow lets the drive move an electrode whose current has left the dead band.
func (c *circuit) follow(a *arc, amperes float64) {
	a.measured += (amperes - a.measured) * house.Period / driveLag
	excess := a.measured - c.setPoint*a.trim
	if math.Abs(excess) < c.band {
		return
	}
	speed := c.gain * 15000 / c.setPoint * (excess - math.Copysign(c.band, excess))
	a.tip += min(max(speed, -driveMax), driveMax) * house.Period
	a.tip = min(max(a.tip, 0), longest*c.rest)
}

// dropOut says which phases a crust of unmelted charge has cut off: rectangular losses
// of one or all, in episodes of that kind.
func (c *circuit) dropOut(d house.Demand) (lost [3]bool) {
	if d.Episode == 0 || d.Kind != house.DropOuts {
		c.outLeft = 0
		return lost
	}
	if c.outLeft -= house.Period; c.outLeft <= 0 && c.rng.Float64() < d.Quiet*house.Period/80 {
		c.outLeft = between(c.rng, 1, 5)
		c.out = min(c.rng.IntN(5), 3)
	}
	for p := range lost {
		lost[p] = c.outLeft > 0 && (c.out == 3 || c.out == p)
	}
	return lost
}

func between(r *rand.Rand, low, high float64) float64 { return low + (high-low)*r.Float64() }
