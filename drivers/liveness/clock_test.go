package liveness

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// stream makes frames of a camera whose clock starts anywhere, runs ppm fast and
// whose frames arrive late by a constant and a random part.
type stream struct {
	ppm      float64
	constant time.Duration
	random   func(n int) time.Duration
}

const frameTime = 40 * time.Millisecond

// errorsOf maps n frames and returns how far each result lies after the instant
// at which the frame was taken plus the constant delay.
func (s stream) errorsOf(c *clock, start time.Time, n int) []time.Duration {
	off := make([]time.Duration, n)
	for i := range n {
		at := start.Add(time.Duration(i) * frameTime)
		presentation := time.Duration(float64(i) * float64(frameTime) * (1 + s.ppm/1e6))
		arrival := at.Add(s.constant + s.random(i))
		off[i] = c.captureTime(presentation, arrival).Sub(at.Add(s.constant))
	}
	return off
}

func worst(off []time.Duration) (worst time.Duration) {
	for _, d := range off {
		worst = max(worst, d.Abs())
	}
	return worst
}

func exponential(seed uint64, mean time.Duration) func(int) time.Duration {
	r := rand.New(rand.NewPCG(seed, 1))
	return func(int) time.Duration { return time.Duration(r.ExpFloat64() * float64(mean)) }
}

func TestClockFollowsTheLeastDelay(t *testing.T) {
	start := time.Now()
	for _, c := range []struct {
		name  string
		s     stream
		limit time.Duration
	}{
		{"no jitter", stream{random: func(int) time.Duration { return 0 }}, 0},
		{"jitter of 30 ms", stream{constant: 100 * time.Millisecond, random: exponential(1, 30*time.Millisecond)}, 5 * time.Millisecond},
		{"camera clock 50 ppm fast", stream{ppm: 50, random: exponential(2, 10*time.Millisecond)}, 6 * time.Millisecond},
		{"camera clock 50 ppm slow", stream{ppm: -50, random: exponential(3, 10*time.Millisecond)}, 6 * time.Millisecond},
		{"every frame a second late but one in a hundred", stream{random: func(n int) time.Duration {
			if n%100 == 7 {
				return 0
			}
			return time.Second
		}}, time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			var clock clock
			off := c.s.errorsOf(&clock, start, 30*60*25)
			if got := worst(off[500:]); got > c.limit {
				t.Errorf("off by up to %v after 20 s, want at most %v", got, c.limit)
			}
		})
	}
}

// Two seconds of frames held up in the network and then delivered at once were
// still taken 40 ms apart.
func TestClockOfABurst(t *testing.T) {
	var clock clock
	s := stream{random: func(n int) time.Duration {
		if n >= 1000 && n < 1050 {
			return time.Duration(1050-n) * frameTime
		}
		return 0
	}}
	if got := worst(s.errorsOf(&clock, time.Now(), 1200)); got > 0 {
		t.Errorf("off by %v", got)
	}
}

func TestClockNeverGoesBackNorAhead(t *testing.T) {
	var clock clock
	r := rand.New(rand.NewPCG(4, 4))
	arrival, presentation := time.Now(), time.Duration(0)
	var last time.Time
	for range 20000 {
		arrival = arrival.Add(time.Duration(r.Int64N(int64(80 * time.Millisecond))))
		switch r.IntN(500) {
		case 0:
			presentation = time.Duration(r.Int64N(int64(time.Hour)))
		case 1:
			clock.Restart()
		default:
			presentation += time.Duration(r.Int64N(int64(80 * time.Millisecond)))
		}
		taken := clock.captureTime(presentation, arrival)
		if taken.After(arrival) {
			t.Fatalf("taken %v after it arrived", taken.Sub(arrival))
		}
		if taken.Before(last) {
			t.Fatalf("taken %v before the frame that came before", last.Sub(taken))
		}
		last = taken
	}
}

// A camera that restarts counts from zero again; nothing of the old stream may
// linger.
func TestClockAfterARestart(t *testing.T) {
	var clock clock
	quick := stream{random: exponential(5, 5*time.Millisecond)}
	start := time.Now()
	quick.errorsOf(&clock, start, 5000)
	slow := stream{constant: 800 * time.Millisecond, random: exponential(6, 5*time.Millisecond)}
	off := slow.errorsOf(&clock, start.Add(5001*frameTime), 1000)
	if got := worst(off[250:]); got > 3*time.Millisecond {
		t.Errorf("off by %v, ten seconds after the restart", got)
	}
}

func FuzzClock(f *testing.F) {
	f.Add(int64(0), int64(40e6), int64(80e6))
	f.Add(int64(math.MaxInt64), int64(0), int64(1))
	f.Fuzz(func(t *testing.T, a, b, c int64) {
		var clock clock
		at := time.Now()
		for i, p := range []int64{a, b, c, b, a} {
			at = at.Add(time.Duration(i) * time.Second)
			if taken := clock.captureTime(time.Duration(p), at); taken.After(at) {
				t.Errorf("frame %d taken %v after it arrived", i, taken.Sub(at))
			}
		}
	})
}
