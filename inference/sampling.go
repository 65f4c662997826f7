package inference

import (
	"fmt"
	"time"
)

// Sampling is the range of meter rates for which the model was tested.
type Sampling struct {
	// RatesHz are the rates at which the tests read the meter. A meter that is read
	// faster than the window's rate is thinned to it.
	RatesHz []float64 `json:"rates_hz"`
	// Coverage is the smallest share of a rate's samples that was tested, 0–1.
	Coverage float64 `json:"coverage"`
}

// testedCoverage is what releases without the section sampling were tested with:
// 30 % of the samples lost.
const testedCoverage = 0.7

// samplingOf returns the manifest's section sampling, or the window's own rate if that
// section is missing.
func (m Manifest) samplingOf() Sampling {
	if m.Sampling != nil {
		return *m.Sampling
	}
	return Sampling{RatesHz: []float64{m.Current.RateHz}, Coverage: testedCoverage}
}

// MinDensity is the least share of the window's slots that must hold a sample
// where the meter is read once in period. It fails for a rate that was not tested.
func (m Manifest) MinDensity(period time.Duration) (share float64, err error) {
	s, rate := m.samplingOf(), m.Current.RateHz
	if hertz := 1 / period.Seconds(); hertz < rate {
		rate = hertz
	}
	const rounding = 1e-6
	best := 0.0
	for _, tested := range s.RatesHz {
		if rate <= tested*(1+rounding) && rate >= tested*s.Coverage*(1-rounding) && (best == 0 || tested < best) {
			best = tested
		}
	}
	if best == 0 {
		return 0, fmt.Errorf("%s between polls is %.3g Hz; the model was tested at %s: set the meter's period to %s or less",
			period, rate, hertzes(s.RatesHz), time.Duration(float64(time.Second)/s.slowest()).Round(time.Millisecond))
	}
	return s.Coverage * best / m.Current.RateHz, nil
}

// slowest is the lowest tested rate.
func (s Sampling) slowest() float64 {
	least := s.RatesHz[0]
	for _, rate := range s.RatesHz {
		least = min(least, rate)
	}
	return least
}

func hertzes(rates []float64) string {
	text := ""
	for i, rate := range rates {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprintf("%.3g", rate)
	}
	return text + " Hz"
}

func (m Manifest) checkSampling(f *faults) {
	if m.Sampling == nil {
		return
	}
	if len(m.Sampling.RatesHz) == 0 {
		f.add("sampling.rates_hz", "is missing: the rates at which the model was tested; %s", exportRemedy)
	}
	for _, rate := range m.Sampling.RatesHz {
		if !(rate > 0 && rate <= m.Current.RateHz) {
			f.add("sampling.rates_hz", "holds %g, must be above 0 and at most current.rate_hz (%g); %s", rate, m.Current.RateHz, exportRemedy)
		}
	}
	f.within("sampling.coverage", m.Sampling.Coverage, 1)
}
