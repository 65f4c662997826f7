package inference

import (
	"math"
	"testing"
	"time"
)

func TestLeastDensityFollowsTheTestedRates(t *testing.T) {
	for name, c := range map[string]struct {
		sampling *Sampling
		period   time.Duration
		least    float64 // 0: not tested
	}{
		"nothing told, window's rate":   {nil, 500 * time.Millisecond, 0.7},
		"nothing told, faster":          {nil, 100 * time.Millisecond, 0.7},
		"nothing told, a little slower": {nil, 600 * time.Millisecond, 0.7},
		"nothing told, half the rate":   {nil, time.Second, 0},
		"half the rate tested":          {&Sampling{RatesHz: []float64{2, 1}, Coverage: 0.7}, time.Second, 0.35},
		"between two tested rates":      {&Sampling{RatesHz: []float64{1, 2}, Coverage: 0.8}, 800 * time.Millisecond, 0},
		"the window's, of two":          {&Sampling{RatesHz: []float64{1, 2}, Coverage: 0.8}, 500 * time.Millisecond, 0.8},
	} {
		t.Run(name, func(t *testing.T) {
			m := Manifest{Current: CurrentSpec{RateHz: 2, Samples: 240, Phases: 3}, Sampling: c.sampling}
			least, err := m.MinDensity(c.period)
			if (err != nil) != (c.least == 0) || math.Abs(least-c.least) > 1e-9 {
				t.Errorf("least density %v, %v; want %v", least, err, c.least)
			}
		})
	}
}

func TestSamplingIsChecked(t *testing.T) {
	for name, s := range map[string]Sampling{
		"no rate":            {Coverage: 0.7},
		"rate of zero":       {RatesHz: []float64{0}, Coverage: 0.7},
		"above the window's": {RatesHz: []float64{4}, Coverage: 0.7},
		"NaN":                {RatesHz: []float64{math.NaN()}, Coverage: 0.7},
		"no coverage":        {RatesHz: []float64{2}},
		"coverage above 1":   {RatesHz: []float64{2}, Coverage: 1.5},
	} {
		var f faults
		Manifest{Current: CurrentSpec{RateHz: 2}, Sampling: &s}.checkSampling(&f)
		if len(f) == 0 {
			t.Errorf("%s: accepted", name)
		}
	}
}
