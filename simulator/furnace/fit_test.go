package furnace

import (
	"encoding/csv"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"meltwatch/percentile"
)

// figures describe a record of three-phase current at 2 Hz.
type figures struct {
	Mean, Std, Lag1, Correlation, Change float64 // means of the phases
	Imbalance50, Imbalance95             float64
	CV5, CV50, CV95                      float64 // of 120-s windows
	CV10                                 float64 // median of 10-s windows
	Dips                                 float64 // below 9 kA, a minute
	Kurtosis                             float64 // of the change
}

func describe(x [3][]float64) figures {
	var f figures
	n := len(x[0])
	for p := range x {
		m, s := spread(x[p])
		var lag, change, k4, k2 float64
		for i := 1; i < n; i++ {
			lag += (x[p][i] - m) * (x[p][i-1] - m)
			d := x[p][i] - x[p][i-1]
			change += math.Abs(d)
			k2 += d * d
			k4 += d * d * d * d
			if x[p][i] < 9000 && x[p][i-1] >= 9000 {
				f.Dips++
			}
		}
		f.Mean += m / 3
		f.Std += s / 3
		f.Lag1 += lag / float64(n) / s / s / 3
		f.Change += change / float64(n-1) / 3
		f.Kurtosis += k4 * float64(n-1) / k2 / k2 / 3
		q := (p + 1) % 3
		mq, sq := spread(x[q])
		var c float64
		for i := range n {
			c += (x[p][i] - m) * (x[q][i] - mq)
		}
		f.Correlation += c / float64(n) / s / sq / 3
	}
	f.Dips /= float64(n) / 120
	imbalance := make([]float64, n)
	for i := range n {
		a, b, c := x[0][i], x[1][i], x[2][i]
		imbalance[i] = (max(a, b, c) - min(a, b, c)) / ((a + b + c) / 3)
	}
	f.Imbalance50, f.Imbalance95 = percentile.Of(imbalance, 50), percentile.Of(imbalance, 95)
	cv := variation(x, 240)
	f.CV5, f.CV50, f.CV95 = percentile.Of(cv, 5), percentile.Of(cv, 50), percentile.Of(cv, 95)
	f.CV10 = percentile.Of(variation(x, 20), 50)
	return f
}

// variation is the coefficient of variation, mean of the phases, of each window
// of n samples, a second apart.
func variation(x [3][]float64, n int) []float64 {
	var list []float64
	for end := n; end <= len(x[0]); end += 2 {
		var cv float64
		for p := range x {
			m, s := spread(x[p][end-n : end])
			cv += s / m / 3
		}
		list = append(list, cv)
	}
	return list
}

func spread(x []float64) (mean, std float64) {
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		std += (v - mean) * (v - mean)
	}
	return mean, math.Sqrt(std / float64(len(x)))
}

// normalRecord runs batches at 15 kA through normal work.
func normalRecord(batches int, seconds float64) [3][]float64 {
	var x [3][]float64
	for i := range batches {
		seed := uint64(1000 + i)
		b := NewBatch(seed, seed)
		b.SetPoint = nominal
		f := New(Draw(NormalLife, seconds, seed, seed, seed), b, seed, seed)
		for t := 0.0; t < seconds; t += Period {
			s := f.AdvanceTo(t)
			for p := range x {
				x[p] = append(x[p], float64(s.PLC.Current[p]))
			}
		}
	}
	return x
}

// bound is the least and the greatest that a figure may be.
type bound struct {
	name      string
	value     func(figures) float64
	low, high float64
}

// bounds are the spread of a real furnace's half-hour of normal work: between
// its phases where it is stated for them, and about as wide where it is not.
var bounds = []bound{
	{"mean, A", func(f figures) float64 { return f.Mean }, 14500, 15600},
	{"standard deviation, A", func(f figures) float64 { return f.Std }, 1580, 2040},
	{"lag-1 autocorrelation", func(f figures) float64 { return f.Lag1 }, 0.62, 0.82},
	{"correlation of phases", func(f figures) float64 { return f.Correlation }, 0.26, 0.38},
	{"mean |change|, A", func(f figures) float64 { return f.Change }, 670, 1020},
	{"kurtosis of change", func(f figures) float64 { return f.Kurtosis }, 5.5, 16},
	{"imbalance median", func(f figures) float64 { return f.Imbalance50 }, 0.115, 0.150},
	{"imbalance p95", func(f figures) float64 { return f.Imbalance95 }, 0.33, 0.41},
	{"CV of 10 s, median", func(f figures) float64 { return f.CV10 }, 0.067, 0.090},
	{"CV of 120 s, p5", func(f figures) float64 { return f.CV5 }, 0.065, 0.095},
	{"CV of 120 s, median", func(f figures) float64 { return f.CV50 }, 0.100, 0.128},
	{"CV of 120 s, p95", func(f figures) float64 { return f.CV95 }, 0.150, 0.185},
	{"dips below 9 kA a minute", func(f figures) float64 { return f.Dips }, 0.8, 1.6},
}

func TestNormalCurrentIsWithinTheRealRecordsSpread(t *testing.T) {
	got := describe(normalRecord(24, 1800))
	for _, b := range bounds {
		if v := b.value(got); v < b.low || v > b.high {
			t.Errorf("%s is %.4g, outside %.4g to %.4g", b.name, v, b.low, b.high)
		}
	}
}

func TestTheRealRecordIsWithinTheSameSpread(t *testing.T) {
	x, ok := realRecord(t)
	if !ok {
		t.Skip("no shared/data/fmf_currents_2018-12-16.csv above this folder")
	}
	got := describe(x)
	for _, b := range bounds {
		// 19 minutes of one furnace stray further than many batches do.
		slack := 0.15 * (b.low + b.high) / 2
		if v := b.value(got); v < b.low-slack || v > b.high+slack {
			t.Errorf("%s is %.4g, outside %.4g to %.4g", b.name, v, b.low-slack, b.high+slack)
		}
	}
}

func realRecord(t *testing.T) (x [3][]float64, ok bool) {
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; filepath.Dir(dir) != dir; dir = filepath.Dir(dir) {
		f, err := os.Open(filepath.Join(dir, "shared", "data", "fmf_currents_2018-12-16.csv"))
		if err != nil {
			continue
		}
		defer f.Close()
		rows, err := csv.NewReader(f).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows[1:] {
			for p := range x {
				v, err := strconv.ParseFloat(row[p], 64)
				if err != nil {
					t.Fatal(err)
				}
				x[p] = append(x[p], v)
			}
		}
		return x, true
	}
	return x, false
}
