package conductance

import "math"

// steps divide a cycle of the 50-Hz mains.
const (
	steps = 40
	step  = 0.02 / steps
)

// network is the transformer, the leads and the three arcs in star.
type network struct {
	peak       float64    // of the source's phase voltage
	resistance float64    // of one phase's leads
	inductance float64    // of one phase, as volts a step's change of one ampere
	reactance  float64    // at the mains frequency
	uneven     [3]float64 // phases' reactances against their mean: leads differ
	usual      float64    // an arc's voltage at the set-point, RMS
	rated      float64    // set-point
	loss       float64    // watts that a column loses about zero
	residual   float64    // siemens of hot gas in a gap without arc
	ignition   float64    // siemens from which an arc strikes again
	cassie     float64    // exp(−2·step/θ)
	mayr       float64    // exp(−step/τ)

	current [3]float64
	square  [3]float64 // of Cassie's conductance
	column  [3]float64 // Mayr's conductance
	source  [steps][3]float64
}

func newNetwork(d dice, setPoint float64) network {
	n := network{rated: setPoint, peak: d.between(70, 110) * math.Sqrt2}
	// The reactance stabilises the arcs: short-circuit current is 1.5–1.7 set-points.
	n.reactance = d.between(0.58, 0.68) * n.peak / math.Sqrt2 / setPoint
	n.resistance = d.between(0.03, 0.1) * n.reactance
	n.inductance = n.reactance / (100 * math.Pi) / step
	n.loss = d.logBetween(0.004, 0.03) * n.peak * setPoint
	n.residual = d.between(130, 260) / n.peak * math.Sqrt2
	n.cassie = math.Exp(-2 * step / d.logBetween(0.0008, 0.004))
	n.mayr = math.Exp(-step / d.logBetween(0.00005, 0.0003))
	n.usual = n.phasor(1)
	n.ignition = 0.1 * setPoint / n.usual
	for p := range 3 {
		n.uneven[p] = d.between(0.96, 1.04)
		n.square[p] = setPoint * setPoint / n.usual / n.usual
		n.column[p] = setPoint * setPoint / n.loss
	}
	for k := range steps {
		for p := range 3 {
			n.source[k][p] = n.peak * math.Sin(2*math.Pi*(float64(k)/steps-float64(p)/3))
		}
	}
	return n
}

// phasor is the arc voltage, RMS, at which the linear circuit draws a share of the
// set-point.
func (n *network) phasor(share float64) float64 {
	i := share * n.rated
	v := n.peak / math.Sqrt2
	left := v*v - n.reactance*n.reactance*i*i
	return max(math.Sqrt(max(left, 0))-n.resistance*i, 0.1*v)
}

// stiffness is the share of arc voltage that moves the current by a small share.
func (n *network) stiffness() float64 {
	return (math.Log(n.phasor(1.02)) - math.Log(n.phasor(0.98))) / -0.04
}

// length is the arc's length against the usual one at a share of the set-point.
func (n *network) length(share float64) float64 { return n.phasor(share) / n.phasor(1) }

// settle scales the usual arc voltage until the circuit draws the set-point.
func (n *network) settle(setPoint float64) {
	one := [3]gap{{1, 1}, {1, 1}, {1, 1}}
	for range 60 {
		rms := n.cycle(one, lost{}, 1)
		mean := (rms[0] + rms[1] + rms[2]) / 3
		n.usual *= math.Pow(mean/setPoint, 0.3)
	}
}

// lost marks phases without arc.
type lost [3]bool

func (l lost) any() bool { return l[0] || l[1] || l[2] }

// cycle solves one cycle of the mains and returns the RMS currents. At part power the
// transformer is on a lower tap and the arcs are shorter in proportion.
func (n *network) cycle(arcs [3]gap, open lost, power float64) (rms [3]float64) {
	var hold, lose, drag [3]float64
	for p := range arcs {
		u := n.usual * arcs[p].voltage * power
		hold[p] = 1 / (u * u)
		lose[p] = 1 / (n.loss * arcs[p].loss * power * power)
		drag[p] = n.inductance * n.uneven[p]
	}
	for k := range steps {
		// An implicit step: i = (drag·i₀ + source − star)/(drag + R + 1/g), where the
		// floating star's voltage makes the currents' sum zero.
		var alone, admit [3]float64
		pull, sum := 0.0, 0.0
		for p := range arcs {
			g := n.residual
			if !open[p] {
				c := math.Sqrt(n.square[p])
				g = max(c*n.column[p]/(c+n.column[p]), n.ignition)
			}
			admit[p] = 1 / (drag[p] + n.resistance + 1/g)
			alone[p] = drag[p]*n.current[p] + power*n.source[k][p]
			pull += alone[p] * admit[p]
			sum += admit[p]
		}
		star := pull / sum
		for p := range arcs {
			i := (alone[p] - star) * admit[p]
			n.current[p] = i
			rms[p] += i * i
			n.square[p] = i*i*hold[p] + (n.square[p]-i*i*hold[p])*n.cassie
			n.column[p] = i*i*lose[p] + (n.column[p]-i*i*lose[p])*n.mayr
		}
	}
	for p := range rms {
		rms[p] = math.Sqrt(rms[p] / steps)
	}
	return rms
}
