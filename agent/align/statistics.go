package align

import (
	"math"
	"slices"
	"time"

	"meltwatch/drivers"
)

// MaxSampleSpan is the longest time that one sample covers, back to the previous
// sample. The current's variation, which the rule and the model use, is the same at two
// readings a second and at one in three seconds.
const MaxSampleSpan = 3 * time.Second

// CV is the coefficient of variation, std / mean averaged over the phases, of the
// window's last span, and the share of that span that its samples cover. It is NaN when
// a phase has no positive mean.
func (w Window) CV(span time.Duration) (cv, share float64) {
	from, slots := w.last(span)
	covered, n := w.covered(from)
	share = float64(covered) / float64(time.Duration(slots)*w.period)
	for phase := range drivers.Phases {
		mean, deviation := w.moments(from, phase)
		if n < 2 || mean <= 0 {
			return math.NaN(), share
		}
		cv += deviation / mean / drivers.Phases
	}
	return cv, share
}

// covered is the time that the samples from a slot on cover, and their number. The
// window's first sample also covers the time before it, and the newest the time after
// it, up to MaxSampleSpan.
func (w Window) covered(from int) (covered time.Duration, n int) {
	before := -1 // the slot of the previous sample
	for slot, filled := range w.Input.SampleMask {
		if filled == 0 {
			continue
		}
		if slot >= from {
			gap := time.Duration(min(slot-before, slot-from+1)) * w.period
			if before < 0 && gap > MaxSampleSpan {
				gap = w.period // the meter was not read before
			}
			covered += min(gap, MaxSampleSpan)
			n++
		}
		before = slot
	}
	if n > 0 {
		covered += min(time.Duration(len(w.Input.SampleMask)-1-before)*w.period, MaxSampleSpan)
	}
	return covered, n
}

// LargestPhase is the largest phase's mean magnitude over the window's last span, in
// amperes. It is below a level only if every phase is, and NaN without a sample.
func (w Window) LargestPhase(span time.Duration) (amperes float64) {
	from, _ := w.last(span)
	var sums [drivers.Phases]float64
	n := 0
	for slot := from; slot < len(w.Input.SampleMask); slot++ {
		if w.Input.SampleMask[slot] == 0 {
			continue
		}
		n++
		for phase := range sums {
			sums[phase] += math.Abs(float64(w.Input.Current[slot*drivers.Phases+phase]))
		}
	}
	return slices.Max(sums[:]) / float64(n)
}

// Swing is the largest change of a phase between neighbouring samples in the window's
// last span, in amperes; 0 without two neighbouring samples.
func (w Window) Swing(span time.Duration) (amperes float64) {
	from, _ := w.last(span)
	for slot := from + 1; slot < len(w.Input.SampleMask); slot++ {
		if w.Input.SampleMask[slot-1] == 0 || w.Input.SampleMask[slot] == 0 {
			continue
		}
		for phase := range drivers.Phases {
			at := slot*drivers.Phases + phase
			change := w.Input.Current[at] - w.Input.Current[at-drivers.Phases]
			amperes = max(amperes, math.Abs(float64(change)))
		}
	}
	return amperes
}

// last is the first slot of the window's last span, and the number of its slots.
func (w Window) last(span time.Duration) (from, slots int) {
	all := len(w.Input.SampleMask)
	slots = min(int(span/w.period), all)
	return all - slots, slots
}

// moments are the mean and the standard deviation of one phase's samples from a slot
// on.
func (w Window) moments(from, phase int) (mean, deviation float64) {
	var sum, squares float64
	n := 0
	for slot := from; slot < len(w.Input.SampleMask); slot++ {
		if w.Input.SampleMask[slot] == 0 {
			continue
		}
		amperes := float64(w.Input.Current[slot*drivers.Phases+phase])
		sum += amperes
		squares += amperes * amperes
		n++
	}
	if n == 0 {
		return math.NaN(), math.NaN()
	}
	mean = sum / float64(n)
	return mean, math.Sqrt(max(squares/float64(n)-mean*mean, 0))
}
