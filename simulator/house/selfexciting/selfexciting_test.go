package selfexciting

import (
	"math"
	"testing"

	"meltwatch/simulator/house"
	"meltwatch/simulator/house/housetest"
)

func TestCircuit(t *testing.T) { housetest.Circuits(t, New) }

// series returns n values of the current, after change has altered the demand of normal
// work.
func series(seed uint64, n int, change func(*house.Demand)) [3][]float64 {
	c := New(house.Setting{Seed: seed, SetPoint: 15000})
	var x [3][]float64
	for i := range n {
		d := house.Demand{Time: float64(i) * house.Period, Power: 1, Lost: -1}
		change(&d)
		for p, v := range c.Next(d) {
			x[p] = append(x[p], v)
		}
	}
	return x
}

func average(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return sum / float64(len(x))
}

// roughness is the mean absolute change of phase 0, and the largest one, after half a
// minute: the events of before have faded.
func roughness(x [3][]float64) (mean, peak float64) {
	for i := 61; i < len(x[0]); i++ {
		d := math.Abs(x[0][i] - x[0][i-1])
		mean += d / float64(len(x[0])-61)
		peak = max(peak, d)
	}
	return mean, peak
}

// A calm spell and a flat episode are both quiet, but the few events of a calm spell keep
// their size.
func TestCalmKeepsItsEvents(t *testing.T) {
	var calm, flat [2]float64
	for seed := range uint64(12) {
		a, b := roughness(series(seed, 1200, func(d *house.Demand) { d.Calm = 1 }))
		calm[0], calm[1] = calm[0]+a/12, calm[1]+b/12
		a, b = roughness(series(seed, 1200, func(d *house.Demand) { d.Episode, d.Kind, d.Quiet = 1, house.Flat, 1 }))
		flat[0], flat[1] = flat[0]+a/12, flat[1]+b/12
	}
	if calm[0] > 350 || flat[0] > 250 {
		t.Errorf("mean |change| is %.0f A in calm spells and %.0f A in flat episodes", calm[0], flat[0])
	}
	if calm[1] < 1.5*flat[1] {
		t.Errorf("largest change is %.0f A in calm spells and %.0f A in flat episodes", calm[1], flat[1])
	}
}

// A lost arc lets next to nothing pass, the others fall to 0.75, and all overshoot after.
func TestLostArc(t *testing.T) {
	var before, others, after float64
	for seed := range uint64(20) {
		x := series(seed, 60, func(d *house.Demand) {
			if d.Time >= 20 && d.Time < 26 {
				d.Lost, d.Phase = d.Time-20, 1
			}
		})
		for _, v := range x[1][42:46] {
			if v < 90 || v > 320 {
				t.Errorf("seed %d: %.0f A in an arc that is out", seed, v)
			}
		}
		before += average(x[0][:40]) + average(x[2][:40])
		others += average(x[0][42:46]) + average(x[2][42:46])
		after += max(x[0][46], x[0][47]) / 20
	}
	if r := others / before; r < 0.7 || r > 0.8 {
		t.Errorf("the other phases fall to %.2f", r)
	}
	if after < 18800 {
		t.Errorf("after a lost arc the current rises to %.0f A", after)
	}
}

// A slipped electrode draws more, and no more than 1.3 of the set-point.
func TestSlip(t *testing.T) {
	ratio := 0.0
	for seed := range uint64(20) {
		plain := series(seed, 60, func(d *house.Demand) { d.Phase = 2 })
		slipped := series(seed, 60, func(d *house.Demand) { d.Phase, d.Slip = 2, 1 })
		ratio += average(slipped[2]) / average(plain[2]) / 20
	}
	if ratio < 1.1 || ratio > 1.3 {
		t.Errorf("a slipped electrode draws %.2f of before", ratio)
	}
}

func TestNextAllocatesNothing(t *testing.T) {
	c := New(house.Setting{Seed: 1, SetPoint: 15000})
	d := house.Demand{Power: 1, Lost: -1, Episode: 1, Kind: house.DropOuts, Quiet: 1}
	if n := testing.AllocsPerRun(1000, func() { c.Next(d) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkHalfHour is half an hour of the meter's values.
func BenchmarkHalfHour(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		c := New(house.Setting{Seed: 1, SetPoint: 15000})
		for i := range 3600 {
			c.Next(house.Demand{Time: float64(i) * house.Period, Power: 1, Lost: -1})
		}
	}
}
