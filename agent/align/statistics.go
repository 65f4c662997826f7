package align

import (
	"math"
	"slices"
	"time"

	"meltwatch/drivers"
)

// SpokenFor is the longest time that one sample covers, back to the previous sample.
// The current's variation, which the rule and the model judge, is the same whether it
// is read twice a second or once in three.
const SpokenFor = 3 * time.Second

// CV is the coefficient of variation, std / mean averaged over the phases, of the
// window's last span, and the share of that span that its samples cover. It is NaN
// when a phase has no mean.
func (w Window) CV(span time.Duration) (cv, share float64) {
	from, slots := w.last(span)
	spoken, n := w.spoken(from)
	share = float64(spoken) / float64(time.Duration(slots)*w.period)
	for phase := range drivers.Phases {
		mean, deviation := w.moments(from, phase)
		if n < 2 || mean <= 0 {
			return math.NaN(), share
		}
		cv += deviation / mean / drivers.Phases
	}
	return cv, share
}

// spoken is the time that the samples from slot on cover, and their number. The
// window's first sample also covers the time before it, and the newest the time after
// it, up to SpokenFor.
func (w Window) spoken(from int) (spoken time.Duration, n int) {
	before := -1 // the slot of the sample before
	for slot, filled := range w.Input.SampleMask {
		if filled == 0 {
			continue
		}
		if slot >= from {
			gap := time.Duration(min(slot-before, slot-from+1)) * w.period
			if before < 0 && gap > SpokenFor {
				gap = w.period // the meter was not read before
			}
			spoken += min(gap, SpokenFor)
			n++
		}
		before = slot
	}
	if n > 0 {
		spoken += min(time.Duration(len(w.Input.SampleMask)-1-before)*w.period, SpokenFor)
	}
	return spoken, n
}

// LargestPhase is the largest phase's mean magnitude over the window's last span, in
// amperes. It is under a level only if every phase is, and NaN without a sample.
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

// Swing is the largest change of a phase between neighbouring samples in the
// window's last span, in amperes; 0 where no two neighbours were read.
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

// last is the first slot of the window's last span and how many slots it has.
func (w Window) last(span time.Duration) (from, slots int) {
	all := len(w.Input.SampleMask)
	slots = min(int(span/w.period), all)
	return all - slots, slots
}

// moments are mean and standard deviation of one phase's samples from slot on.
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
