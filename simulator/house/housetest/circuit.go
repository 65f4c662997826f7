// Package housetest holds every family of currents and of pictures to what a furnace
// house must show.
package housetest

import (
	"math"
	"slices"
	"testing"

	"meltwatch/percentile"
	"meltwatch/simulator/house"
)

// figures describe three-phase current at 2 Hz at a set-point of 15 kA.
type figures struct {
	mean, std, lag1, correlation, change float64 // means of the phases
	imbalance50, imbalance95             float64
	cv5, cv50, cv95                      float64 // of 120-s windows
	cv10                                 float64 // median of 10-s windows
	dips                                 float64 // below 9 kA, a minute
	kurtosis                             float64 // of the change
}

// bounds are the spread of a real furnace's half-hour of normal work.
var bounds = []struct {
	name      string
	value     func(figures) float64
	low, high float64
}{
	{"mean, A", func(f figures) float64 { return f.mean }, 14500, 15600},
	{"standard deviation, A", func(f figures) float64 { return f.std }, 1580, 2040},
	{"lag-1 autocorrelation", func(f figures) float64 { return f.lag1 }, 0.62, 0.82},
	{"correlation of phases", func(f figures) float64 { return f.correlation }, 0.26, 0.38},
	{"mean |change|, A", func(f figures) float64 { return f.change }, 670, 1020},
	{"kurtosis of change", func(f figures) float64 { return f.kurtosis }, 5.5, 16},
	{"imbalance median", func(f figures) float64 { return f.imbalance50 }, 0.115, 0.150},
	{"imbalance p95", func(f figures) float64 { return f.imbalance95 }, 0.33, 0.41},
	{"CV of 10 s, median", func(f figures) float64 { return f.cv10 }, 0.067, 0.090},
	{"CV of 120 s, p5", func(f figures) float64 { return f.cv5 }, 0.065, 0.095},
	{"CV of 120 s, median", func(f figures) float64 { return f.cv50 }, 0.100, 0.128},
	{"CV of 120 s, p95", func(f figures) float64 { return f.cv95 }, 0.150, 0.185},
	{"dips below 9 kA a minute", func(f figures) float64 { return f.dips }, 0.8, 1.6},
}

// Circuits checks a family of currents: normal work is within the real record's spread,
// the abnormal kinds are as quiet as named, and the same seed gives the same current.
func Circuits(t *testing.T, make func(house.Setting) house.Circuit) {
	t.Run("normal work is within the real record's spread", func(t *testing.T) {
		var all [3][]float64
		for seed := range uint64(24) {
			one := run(make(house.Setting{Seed: 1000 + seed, SetPoint: 15000}), 3600, normal)
			for p := range all {
				all[p] = append(all[p], one[p]...)
			}
		}
		NormalWork(t, all, 0)
	})
	for _, k := range []struct {
		kind      house.Kind
		low, high float64 // of the median 120-s CV against the same melts in normal work
	}{{house.Flat, 0.05, 0.25}, {house.Reduced, 0.3, 0.75}, {house.DropOuts, 0.3, 3}} {
		t.Run(string(k.kind), func(t *testing.T) {
			var ratios []float64
			for seed := range uint64(12) {
				setting := house.Setting{Seed: 2000 + seed, SetPoint: 10000 + 500*float64(seed)}
				quiet := run(make(setting), 960, func(d house.Demand) house.Demand {
					d.Episode, d.Kind, d.Quiet = 1, k.kind, min(d.Time/60, 1)
					return d
				})
				work := run(make(setting), 960, normal)
				for p := range quiet {
					quiet[p], work[p] = quiet[p][240:], work[p][240:]
				}
				ratios = append(ratios, percentile.Of(Variation(quiet, 240), 50)/percentile.Of(Variation(work, 240), 50))
			}
			if m := percentile.Of(ratios, 50); m < k.low || m > k.high || math.IsNaN(m) {
				t.Errorf("fluctuation is %.3f of normal, want %.2f to %.2f", m, k.low, k.high)
			}
		})
	}
	t.Run("an episode without quiet is normal work", func(t *testing.T) {
		setting := house.Setting{Seed: 7, SetPoint: 12000}
		a := percentile.Of(Variation(run(make(setting), 7200, normal), 240), 50)
		b := percentile.Of(Variation(run(make(setting), 7200, func(d house.Demand) house.Demand {
			d.Episode, d.Kind = 1, house.Flat
			return d
		}), 240), 50)
		if b < 0.75*a {
			t.Errorf("CV of 120 s is %.3f, in normal work %.3f", b, a)
		}
	})
	t.Run("off draws nothing", func(t *testing.T) {
		x := run(make(house.Setting{Seed: 3, SetPoint: 15000}), 120, func(d house.Demand) house.Demand { d.Power = 0; return d })
		if most := slices.Max(slices.Concat(x[0][20:], x[1][20:], x[2][20:])); most > 100 {
			t.Errorf("%.0f A while off", most)
		}
	})
	t.Run("the same seed gives the same current", func(t *testing.T) {
		setting := house.Setting{Seed: 9, SetPoint: 14000}
		a, b := run(make(setting), 600, normal), run(make(setting), 600, normal)
		if !slices.Equal(a[0], b[0]) || slices.Equal(a[0], a[1]) {
			t.Error("not reproducible, or two phases are one")
		}
	})
}

// NormalWork holds three phases' current of normal work, at 2 Hz and a set-point of 15 kA,
// to the spread of a real furnace's half-hour. slack widens each bound by a share of its
// middle: minutes of one furnace stray further than many melts do.
func NormalWork(t *testing.T, x [3][]float64, slack float64) {
	t.Helper()
	got := describe(x)
	for _, b := range bounds {
		wide := slack * (b.low + b.high) / 2
		if v := b.value(got); v < b.low-wide || v > b.high+wide || math.IsNaN(v) {
			t.Errorf("%s is %.4g, outside %.4g to %.4g", b.name, v, b.low-wide, b.high+wide)
		}
	}
}

func normal(d house.Demand) house.Demand { return d }

// run asks for n samples; change alters the demand of normal work.
func run(c house.Circuit, n int, change func(house.Demand) house.Demand) (x [3][]float64) {
	for i := range n {
		t := float64(i) * house.Period
		d := house.Demand{Time: t, Power: 1, Lost: -1}
		// What the crew does in any state: feeding every 5 minutes, exhaust every 8.
		d.Feeding, d.Exhaust = math.Mod(t, 327) < 40, math.Mod(t+100, 514) < 20
		now := c.Next(change(d))
		for p := range x {
			if math.IsNaN(now[p]) || now[p] < 0 || now[p] > house.FullScale {
				now[p] = math.NaN()
			}
			x[p] = append(x[p], now[p])
		}
	}
	return x
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
				f.dips++
			}
		}
		f.mean += m / 3
		f.std += s / 3
		f.lag1 += lag / float64(n) / s / s / 3
		f.change += change / float64(n-1) / 3
		f.kurtosis += k4 * float64(n-1) / k2 / k2 / 3
		q := (p + 1) % 3
		mq, sq := spread(x[q])
		var c float64
		for i := range n {
			c += (x[p][i] - m) * (x[q][i] - mq)
		}
		f.correlation += c / float64(n) / s / sq / 3
	}
	f.dips /= float64(n) / 120
	imbalance := make([]float64, n)
	for i := range n {
		a, b, c := x[0][i], x[1][i], x[2][i]
		imbalance[i] = (max(a, b, c) - min(a, b, c)) / ((a + b + c) / 3)
	}
	f.imbalance50, f.imbalance95 = percentile.Of(imbalance, 50), percentile.Of(imbalance, 95)
	cv := Variation(x, 240)
	f.cv5, f.cv50, f.cv95 = percentile.Of(cv, 5), percentile.Of(cv, 50), percentile.Of(cv, 95)
	f.cv10 = percentile.Of(Variation(x, 20), 50)
	return f
}

// Variation is the coefficient of variation, mean of the phases, of each window of n
// samples, a second apart.
func Variation(x [3][]float64, n int) []float64 {
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
