package align

import (
	"math"
	"time"

	"meltwatch/drivers"
)

// CV is the coefficient of variation, std / mean averaged over the phases, of
// the window's last span, and the share of that span's slots that hold a sample.
// It is NaN when a phase has no mean.
func (w Window) CV(span time.Duration) (cv, coverage float64) {
	from, slots := w.last(span)
	for phase := range drivers.Phases {
		mean, deviation, n := w.moments(from, phase)
		coverage = float64(n) / float64(slots)
		if n < 2 || mean <= 0 {
			return math.NaN(), coverage
		}
		cv += deviation / mean / drivers.Phases
	}
	return cv, coverage
}

// MeanCurrent is the mean of all phases over the window's last span in amperes,
// and the share of slots that hold a sample. It is NaN without a sample.
func (w Window) MeanCurrent(span time.Duration) (amperes, coverage float64) {
	from, slots := w.last(span)
	for phase := range drivers.Phases {
		mean, _, n := w.moments(from, phase)
		coverage = float64(n) / float64(slots)
		amperes += mean / drivers.Phases
	}
	return amperes, coverage
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
func (w Window) moments(from, phase int) (mean, deviation float64, n int) {
	var sum, squares float64
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
		return math.NaN(), math.NaN(), 0
	}
	mean = sum / float64(n)
	return mean, math.Sqrt(max(squares/float64(n)-mean*mean, 0)), n
}
