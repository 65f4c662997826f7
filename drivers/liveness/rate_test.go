package liveness

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"meltwatch/drivers"
)

// paced is a camera at its own rate: how far apart its frames are taken, and how
// the decoder times them.
type paced struct {
	every time.Duration
	// time is the presentation time of frame n in milliseconds.
	time func(n int, at time.Duration) float64
	// late is how long frame n is under way.
	late func(n int) time.Duration
}

func exact(_ int, at time.Duration) float64 { return float64(at) / 1e6 }

// watchFor follows the detector, asking it ten times a second, and passes each status
// to see.
func (p paced) watchFor(spell time.Duration, see func(at time.Duration, s drivers.Status, cause string)) {
	r := rand.New(rand.NewPCG(9, 9))
	start := time.Now()
	j := NewDetector(factory)
	j.Opened()
	n := 0
	for at := time.Duration(0); at < spell; at += 20 * time.Millisecond {
		for ; p.arrival(n) <= at; n++ {
			milliseconds := exact(n, time.Duration(n)*p.every)
			if p.time != nil {
				milliseconds = p.time(n, time.Duration(n)*p.every)
			}
			j.Frame(Presentation(milliseconds), start.Add(p.arrival(n)), scene(r, 7*n, 2))
		}
		if n > 0 {
			status, cause := j.Status(start.Add(at))
			see(at, status, cause)
		}
	}
}

func (p paced) arrival(n int) time.Duration {
	at := time.Duration(n) * p.every
	if p.late != nil {
		at += p.late(n)
	}
	return at
}

// Whatever the camera's rate, and whatever a decoder says of the first frames'
// time, a camera that sends is ok from its first frame on.
func TestSlowAndOddlyTimedCamerasAreOK(t *testing.T) {
	for _, c := range []struct {
		name   string
		camera paced
	}{
		{"25 a second", paced{every: 40 * time.Millisecond}},
		{"one a second", paced{every: time.Second}},
		{"one in two seconds", paced{every: 2 * time.Second}},
		{"one in four seconds", paced{every: 4 * time.Second}},
		{"one in two seconds, jitter", paced{every: 2 * time.Second, late: func(n int) time.Duration { return time.Duration(n*7919%400) * time.Millisecond }}},
		{"one in two seconds, four waited for the decoder", paced{every: 2 * time.Second, late: waited(2*time.Second, 6050*time.Millisecond)}},
		{"one in two seconds, eleven waited, more and more late", paced{every: 2 * time.Second, late: func(n int) time.Duration {
			return max(waited(2*time.Second, 20*time.Second)(n), time.Duration(n%7)*50*time.Millisecond)
		}}},
		{"ten a second, sixty waited", paced{every: 100 * time.Millisecond, late: waited(100*time.Millisecond, 6*time.Second)}},
		{"first time unknown, as FFmpeg says it", paced{every: time.Second, time: func(n int, at time.Duration) float64 {
			if n < 2 {
				return math.MinInt64 / 90.
			}
			return exact(n, at)
		}}},
		{"first time not a number", paced{every: time.Second, time: func(n int, at time.Duration) float64 {
			if n == 0 {
				return math.NaN()
			}
			return exact(n, at)
		}}},
		{"no time ever", paced{every: 500 * time.Millisecond, time: func(int, time.Duration) float64 { return math.Inf(-1) }}},
		{"now and then no time", paced{every: 200 * time.Millisecond, time: func(n int, at time.Duration) float64 {
			if n%5 == 3 {
				return -1e17
			}
			return exact(n, at)
		}}},
		{"one time far ahead", paced{every: 200 * time.Millisecond, time: func(n int, at time.Duration) float64 {
			if n == 20 {
				return 1e9
			}
			return exact(n, at)
		}}},
		{"time leaps ahead by days", paced{every: 200 * time.Millisecond, time: func(n int, at time.Duration) float64 {
			if n >= 20 {
				return exact(n, at) + 3e8
			}
			return exact(n, at)
		}}},
		{"time falls back by hours", paced{every: 200 * time.Millisecond, time: func(n int, at time.Duration) float64 {
			if n < 20 {
				return exact(n, at) + 1e7
			}
			return exact(n, at)
		}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.camera.watchFor(90*time.Second, func(at time.Duration, s drivers.Status, cause string) {
				if s != drivers.OK {
					t.Fatalf("after %v: %s (%s)", at, s, cause)
				}
			})
		})
	}
}

// waited is how late frames are that waited until the decoder had analysed the stream. It
// then takes 10 ms for each.
func waited(every, until time.Duration) func(n int) time.Duration {
	return func(n int) time.Duration {
		return max(until+time.Duration(n)*10*time.Millisecond-time.Duration(n)*every, 0)
	}
}

// A stall is named in time at the camera's own rate, and at 25 frames a second in
// three seconds, also where the camera was slow to begin.
func TestStallsAreNamedAtTheCamerasRate(t *testing.T) {
	fast := func(_ int, at time.Duration) float64 { return 10 * exact(0, at) }
	for _, c := range []struct {
		every, within time.Duration
		time          func(n int, at time.Duration) float64
	}{
		{40 * time.Millisecond, 3 * time.Second, nil},
		{200 * time.Millisecond, 3 * time.Second, nil},
		{200 * time.Millisecond, 3 * time.Second, fast},
		{time.Second, 3500 * time.Millisecond, nil},
		{2 * time.Second, 7 * time.Second, nil},
	} {
		t.Run(c.every.String(), func(t *testing.T) {
			const stall = 30 * time.Second
			var named time.Duration
			// Frames after the stall never come.
			paced{every: c.every, time: c.time, late: func(n int) time.Duration {
				if time.Duration(n)*c.every >= stall {
					return time.Hour
				}
				return 0
			}}.watchFor(60*time.Second, func(at time.Duration, s drivers.Status, cause string) {
				if s == drivers.Stale && named == 0 {
					named = at - (stall - c.every)
				}
				if s != drivers.OK && at < stall {
					t.Fatalf("%s (%s) after %v", s, cause, at)
				}
			})
			if named == 0 || named > c.within {
				t.Errorf("named %v after the last frame, want %v at most", named, c.within)
			}
		})
	}
}

// A stall before the rate is known has a bound too, and opening the stream again
// does not make the old frame a fresh one.
func TestStallAfterTheFirstFrame(t *testing.T) {
	j, at := NewDetector(factory), time.Now()
	j.Opened()
	j.Frame(0, at, scene(rand.New(rand.NewPCG(1, 1)), 0, 2))
	if status, cause := j.Status(at.Add(initialTimeout)); status != drivers.Stale || !strings.Contains(cause, "no new frame") {
		t.Errorf("%s (%s) %v after the only frame", status, cause, initialTimeout)
	}
}

func TestBlackAtASlowRate(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	j, at := NewDetector(factory), time.Now()
	j.Opened()
	for n := range 12 {
		p := scene(r, 7*n, 2)
		if n >= 8 {
			p = flat(r, 2, 2)
		}
		at = at.Add(2 * time.Second)
		j.Frame(time.Duration(n)*2*time.Second, at, p)
		want := drivers.OK
		if n >= 9 { // black for one distance of frames, which is the limit
			want = drivers.Black
		}
		if status, cause := j.Status(at); status != want {
			t.Errorf("frame %d: %s (%s), want %s", n, status, cause, want)
		}
		if status, cause := j.Status(at.Add(1900 * time.Millisecond)); n < 8 && status != want {
			t.Errorf("frame %d, later: %s (%s), want %s", n, status, cause, want)
		}
	}
}

func TestPresentation(t *testing.T) {
	for _, c := range []struct {
		milliseconds float64
		want         time.Duration
	}{
		{0, 0},
		{40, 40 * time.Millisecond},
		{-40, -40 * time.Millisecond},
		{math.NaN(), noTime},
		{math.Inf(1), noTime},
		{math.Inf(-1), noTime},
		{-1e17, noTime},
		{math.MaxFloat64, noTime},
		{math.MinInt64, noTime},
	} {
		if got := Presentation(c.milliseconds); got != c.want {
			t.Errorf("Presentation(%g) = %v, want %v", c.milliseconds, got, c.want)
		}
	}
}
