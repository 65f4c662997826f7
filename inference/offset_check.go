package inference

import "math"

const (
	// leastShifts is what a least loss between two others needs, on both sides of
	// where it may lie.
	leastShifts = 5
	// leastPool is how many windows can be parted into the four that must agree.
	leastPool, mostPool = 4, 3600
)

// checkOffset holds the section offset against the output that it explains; each
// without the other is a fault.
func (m Manifest) checkOffset(f *faults) {
	_, answered := m.Signatures[Step].Outputs[LocalLoss]
	if m.Offset == nil {
		if answered {
			f.add("offset", "is missing, though step answers %s; %s", LocalLoss, exportAgain)
		}
		return
	}
	if !answered {
		f.add("offset", "is there, though step does not answer %s; %s", LocalLoss, exportAgain)
	}
	m.Offset.check(f)
	if seconds := float64(m.Current.Samples) / m.Current.RateHz; m.Offset.WindowSeconds != seconds {
		f.add("offset.window_seconds", "is %g, the section current makes it %g; %s", m.Offset.WindowSeconds, seconds, exportAgain)
	}
}

func (o Offset) check(f *faults) {
	f.positive("offset.event_amps", o.EventAmps)
	f.positive("offset.step_s_per_min", o.StepSPerMin)
	if o.Pool < leastPool || o.Pool > mostPool {
		f.add("offset.pool", "is %d, must be %d to %d; %s", o.Pool, leastPool, mostPool, exportAgain)
	}
	if !o.ascending() {
		f.add("offset.shifts_s", "are %v, must be %d finite numbers or more, each above the one before, on both sides of 0; %s", o.ShiftsS, leastShifts, exportAgain)
		return
	}
	// Beyond the shifts nothing can be seen, so nothing could lead there.
	reach := min(-o.ShiftsS[0], o.ShiftsS[len(o.ShiftsS)-1])
	if !(o.DipS >= 0 && o.DipS <= reach) {
		f.add("offset.dip_s", "is %g, must be 0 to %g, how far offset.shifts_s reach either way; %s", o.DipS, reach, exportAgain)
	}
	if !(o.MostS > 0 && o.MostS <= reach) {
		f.add("offset.most_s", "is %g, must be above 0 and at most %g, how far offset.shifts_s reach either way; %s", o.MostS, reach, exportAgain)
	}
}

func (o Offset) ascending() bool {
	for i, shift := range o.ShiftsS {
		if math.IsNaN(shift) || math.IsInf(shift, 0) || i > 0 && shift <= o.ShiftsS[i-1] {
			return false
		}
	}
	n := len(o.ShiftsS)
	return n >= leastShifts && o.ShiftsS[0] < 0 && o.ShiftsS[n-1] > 0
}
