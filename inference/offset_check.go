package inference

import (
	"maps"
	"math"
	"slices"
)

const (
	// minShifts is the least number of shifts that allow a minimum with a neighbour on
	// both sides.
	minShifts = 5
	// maxShifts bounds what a pool of curves takes of memory, and a second of time.
	maxShifts = 200
	// maxStepSPerMin is a second a second, above which a correction would jump.
	maxStepSPerMin = 60
	// minPool is how many windows can be parted into the four that must agree.
	minPool, maxPool = 4, 3600
)

// checkOffset checks the section offset and the output local_loss, which require each
// other.
func (m Manifest) checkOffset(f *faults) {
	_, answered := m.Signatures[Step].Outputs[LocalLoss]
	if m.Offset == nil {
		if answered {
			f.add("offset", "is missing, but step has the output %s; %s", LocalLoss, exportRemedy)
		}
		return
	}
	if !answered {
		f.add("offset", "is given, but step has no output %s; %s", LocalLoss, exportRemedy)
	}
	m.Offset.check(f)
	m.Offset.checkConfidence(f)
	if seconds := float64(m.Current.Samples) / m.Current.RateHz; m.Offset.WindowSeconds != seconds {
		f.add("offset.window_seconds", "is %g, the section current makes it %g; %s", m.Offset.WindowSeconds, seconds, exportRemedy)
	}
}

func (o Offset) check(f *faults) {
	f.positive("offset.event_amps", o.EventAmps)
	f.within("offset.step_s_per_min", o.StepSPerMin, maxStepSPerMin)
	if o.Pool < minPool || o.Pool > maxPool {
		f.add("offset.pool", "is %d, must be %d to %d; %s", o.Pool, minPool, maxPool, exportRemedy)
	}
	if n := len(o.ShiftsS); n < minShifts || n > maxShifts {
		f.add("offset.shifts_s", "are %d, must be %d to %d; %s", n, minShifts, maxShifts, exportRemedy)
		return
	}
	// A frame is compared with the current of its own window, so a shift must lie within it.
	if !o.ascending() {
		f.add("offset.shifts_s", "are %v, must be numbers within ±offset.window_seconds, %g, each above the one before, on both sides of 0; %s", o.ShiftsS, o.WindowSeconds, exportRemedy)
		return
	}
	// The offset cannot be observed beyond the shifts.
	reach := min(-o.ShiftsS[0], o.ShiftsS[len(o.ShiftsS)-1])
	if !(o.ProminenceS >= 0 && o.ProminenceS <= reach) {
		f.add("offset.dip_s", "is %g, must be 0 to %g, how far offset.shifts_s reach either way; %s", o.ProminenceS, reach, exportRemedy)
	}
	if !(o.MaxS > 0 && o.MaxS <= reach) {
		f.add("offset.most_s", "is %g, must be above 0 and at most %g, how far offset.shifts_s reach either way; %s", o.MaxS, reach, exportRemedy)
	}
}

func (o Offset) ascending() bool {
	for i, shift := range o.ShiftsS {
		if !(math.Abs(shift) <= o.WindowSeconds) || i > 0 && shift <= o.ShiftsS[i-1] {
			return false
		}
	}
	return o.ShiftsS[0] < 0 && o.ShiftsS[len(o.ShiftsS)-1] > 0
}

// OffsetFeatures are the features of a pooled curve that a confidence weighs, in the order in
// which agent/align computes them.
var OffsetFeatures = []string{"height", "agreement", "significance"}

// OffsetBlocks is the number of consecutive parts of a pool from which features are computed.
const OffsetBlocks = 12

func (o Offset) checkConfidence(f *faults) {
	const key = "offset.confidence"
	c := o.Confidence
	if c == nil {
		return
	}
	if c.MinWindows < OffsetBlocks || c.MinWindows > o.Pool {
		f.add(key+".min_windows", "is %d, must be %d to offset.pool, %d; %s", c.MinWindows, OffsetBlocks, o.Pool, exportRemedy)
	}
	f.within(key+".threshold", c.Threshold, 1)
	f.finite(key+".intercept", c.Intercept)
	for _, name := range slices.Sorted(maps.Keys(c.Features)) {
		f.oneOf(key+".features", name, OffsetFeatures...)
	}
	for _, name := range OffsetFeatures {
		of, ok := c.Features[name]
		if !ok {
			f.add(key+".features."+name, "is missing; %s", exportRemedy)
			continue
		}
		f.finite(key+".features."+name+".mean", of.Mean)
		f.positive(key+".features."+name+".std", of.Std)
		f.finite(key+".features."+name+".weight", of.Weight)
	}
}

func (f *faults) finite(key string, x float64) {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		f.add(key, "is %g, must be a finite number; %s", x, exportRemedy)
	}
}
