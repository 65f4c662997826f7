package relaxation

import (
	"math"
	"testing"

	"meltwatch/percentile"
	"meltwatch/simulator/house"
	"meltwatch/simulator/house/housetest"
)

func TestCircuits(t *testing.T) { housetest.Circuits(t, New) }

// record runs a melt for n values.
func record(s house.Setting, n int, change func(*house.Demand)) (x [phases][]float64) {
	c := New(s)
	for i := range n {
		d := house.Demand{Time: float64(i) * house.Period, Power: 1, Lost: -1}
		change(&d)
		now := c.Next(d)
		for p := range x {
			x[p] = append(x[p], now[p])
		}
	}
	return x
}

func variation(x [phases][]float64, n int) float64 {
	return percentile.Of(housetest.Variation(x, n), 50)
}

func TestFlatIsAsQuietAsNamed(t *testing.T) {
	var all []float64
	for seed := range uint64(12) {
		x := record(house.Setting{Seed: seed, SetPoint: 15000}, 960, func(d *house.Demand) {
			d.Episode, d.Kind, d.Quiet = 1, house.Flat, 1
		})
		all = append(all, variation(x, 240))
	}
	if m := percentile.Of(all, 50); m < 0.01 || m > 0.03 {
		t.Errorf("median CV of 120 s is %.4f", m)
	}
}

func TestSlowAndFastFluctuationsWeighAlike(t *testing.T) {
	// White noise would lose nine tenths of its deviation in means of 100 values; a sum of
	// relaxations on many time scales keeps much of it.
	x := record(house.Setting{Seed: 5, SetPoint: 15000}, 40000, func(*house.Demand) {})[0]
	means := func(n int) float64 {
		var m, s float64
		count := len(x) / n
		list := make([]float64, count)
		for i := range list {
			for _, v := range x[i*n : (i+1)*n] {
				list[i] += v / float64(n)
			}
			m += list[i] / float64(count)
		}
		for _, v := range list {
			s += (v - m) * (v - m) / float64(count)
		}
		return math.Sqrt(s)
	}
	if kept := means(100) / means(1); kept < 0.2 || kept > 0.7 {
		t.Errorf("means of 50 s keep %.2f of the deviation", kept)
	}
}

func TestCalmFeedingAndManual(t *testing.T) {
	s := house.Setting{Seed: 11, SetPoint: 12000}
	normal := variation(record(s, 7200, func(*house.Demand) {}), 20)
	calm := variation(record(s, 7200, func(d *house.Demand) { d.Calm = 1 }), 20)
	fed := variation(record(s, 7200, func(d *house.Demand) { d.Feeding = true }), 20)
	exhausted := variation(record(s, 7200, func(d *house.Demand) { d.Exhaust = true }), 20)
	if calm > 0.6*normal || fed > 0.95*normal || exhausted < 1.05*normal {
		t.Errorf("CV of 10 s: normal %.3f, calm %.3f, feeding %.3f, exhaust %.3f", normal, calm, fed, exhausted)
	}
	for p, x := range record(s, 7200, func(d *house.Demand) { d.Manual = true }) {
		m := 0.0
		for _, v := range x {
			m += v / float64(len(x)) / s.SetPoint
		}
		if m < 0.85 || m > 1.15 {
			t.Errorf("by hand, phase %d draws %.2f of the set-point", p, m)
		}
	}
}

func TestLostArcAndSlip(t *testing.T) {
	s := house.Setting{Seed: 3, SetPoint: 15000}
	x := record(s, 200, func(d *house.Demand) {
		d.Phase = 1
		if d.Time >= 50 && d.Time < 56 {
			d.Lost = d.Time - 50
		}
	})
	for i := 100; i < 106; i++ {
		if x[1][i] > 350 {
			t.Errorf("%.1f s after the arc went out the phase draws %.0f A", float64(i-100)/2, x[1][i])
		}
	}
	if over := x[0][106]; over < 18500 {
		t.Errorf("no overshoot: %.0f A", over)
	}
	mean := func(slip float64) (m float64) {
		for _, v := range record(s, 40, func(d *house.Demand) { d.Slip, d.Phase = slip, 2 })[2] {
			m += v / 40
		}
		return m
	}
	if rise := (mean(1) - mean(0)) / s.SetPoint; rise < 0.1 || rise > 0.32 {
		t.Errorf("a slipped electrode raises its current by %.2f of the set-point", rise)
	}
}

func TestDropOutsLastSeconds(t *testing.T) {
	count := 0
	for _, x := range record(house.Setting{Seed: 8, SetPoint: 14000}, 2400, func(d *house.Demand) {
		d.Episode, d.Kind, d.Quiet = 1, house.DropOuts, 1
	}) {
		length := 0
		for _, v := range x {
			if v < 1000 {
				length++
				continue
			}
			if length > 10 {
				t.Errorf("a drop-out of %.1f s", float64(length)*house.Period)
			}
			if length > 1 {
				count++
			}
			length = 0
		}
	}
	if count < 10 {
		t.Errorf("%d drop-outs in 20 minutes", count)
	}
}

func BenchmarkNext(b *testing.B) {
	c := New(house.Setting{Seed: 1, SetPoint: 15000})
	for i := range b.N {
		c.Next(house.Demand{Time: float64(i) * house.Period, Power: 1, Lost: -1})
	}
}
