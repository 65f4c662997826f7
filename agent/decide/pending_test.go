package decide

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"meltwatch/drivers"
)

// The senses with both values in time: the verdict follows the newest sample at once.
var inTime = map[string]senses{
	"2 Hz, 25 pictures a second":        {period: 500 * time.Millisecond, interval: frames25, lag: 15 * time.Millisecond},
	"2 Hz, the meter answers in 100 ms": {period: 500 * time.Millisecond, delay: 100 * time.Millisecond, interval: frames25},
	"2 Hz, schedule unknown":            {period: 500 * time.Millisecond, interval: frames25, unscheduled: true},
	"2 Hz, without a camera":            {period: 500 * time.Millisecond},
	"2 Hz, video that cannot be asked":  {period: 500 * time.Millisecond, interval: frames25, unasked: true},
	"2 Hz, 5 pictures a second":         {period: 500 * time.Millisecond, interval: 200 * time.Millisecond, framePhase: 70 * time.Millisecond, lag: 20 * time.Millisecond},
	"2 Hz, one picture a second before": {period: 500 * time.Millisecond, interval: time.Second, framePhase: 800 * time.Millisecond, lag: 30 * time.Millisecond},
	"2 Hz, decoder three pictures late": {period: 500 * time.Millisecond, interval: 100 * time.Millisecond, lag: 300 * time.Millisecond},
	"1 Hz":                              {period: time.Second, interval: frames25},
	"1 Hz, between the verdicts":        {period: time.Second, phase: 480 * time.Millisecond, interval: frames25},
	"5 Hz":                              {period: 200 * time.Millisecond, interval: frames25},
	"10 Hz":                             {period: 100 * time.Millisecond, interval: frames25},
	"10 Hz, schedule unknown":           {period: 100 * time.Millisecond, interval: frames25, unscheduled: true},
	"50 Hz":                             {period: 20 * time.Millisecond, interval: frames25},
}

// The senses of which some values are late, lost or missing: whatever arrives until the
// second is due still counts.
var notInTime = map[string]senses{
	"a picture a second, 100 ms after": {period: 500 * time.Millisecond, interval: time.Second, framePhase: 90 * time.Millisecond, lag: 20 * time.Millisecond},
	"three pictures a second":          {period: 500 * time.Millisecond, interval: time.Second / 3, framePhase: 140 * time.Millisecond},
	"polls off by up to 100 ms":        {period: 500 * time.Millisecond, jitter: 100 * time.Millisecond, interval: frames25},
	"a sample in five lost":            {period: 500 * time.Millisecond, lost: 0.2, interval: frames25},
	"a sample in fifty invalid":        {period: 500 * time.Millisecond, invalid: 0.02, interval: frames25},
	"10 Hz, half of the samples lost":  {period: 100 * time.Millisecond, lost: 0.5, interval: frames25},
	"a meter that answers in 200 ms":   {period: 500 * time.Millisecond, delay: 200 * time.Millisecond, interval: frames25},
	"a poll in three seconds":          {period: 3 * time.Second, interval: frames25},
	"video alone":                      {interval: frames25},
}

// watched is how long a loop is watched: under the race detector less, where each second takes longer.
func watched() time.Duration {
	if testing.Short() {
		return 90 * time.Second
	}
	return 5 * time.Minute
}

// A verdict that does not wait is the verdict that would have waited.
func TestWindowIsTheOneThatWouldHaveWaited(t *testing.T) {
	for _, table := range []map[string]senses{inTime, notInTime} {
		for name, s := range table {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := watch(t.Context(), s, watched())
					again := waiting(t.Context(), s, r)
					if len(again) < int(watched().Seconds())*5/6 || len(r.windows) < len(again) {
						t.Fatalf("%d windows, %d if each second waits", len(r.windows), len(again))
					}
					differ := 0
					for i, w := range r.windows[:len(again)] {
						same := slices.Equal(w.SampleMask, again[i].SampleMask) && slices.Equal(w.FrameMask, again[i].FrameMask) &&
							w.SetPoint == again[i].SetPoint
						if s.period >= 100*time.Millisecond { // of quicker polls, a neighbour may be used
							same = same && slices.Equal(w.Current, again[i].Current)
						}
						if s.interval > quick { // of a quick camera an earlier frame of the slot may be used
							same = same && slices.Equal(w.Tokens, again[i].Tokens)
						}
						if !same && i > 20 { // the grid and the camera's interval are known
							differ++
						}
					}
					if allowed := 1 + len(again)/150; differ > allowed || differ > 0 && s.lost == 0 {
						t.Errorf("%d of %d windows differ", differ, len(again))
					}
				})
			})
		}
	}
}

// With both senses in time, a verdict follows the newest sample of its window at once.
func TestVerdictFollowsItsNewestSample(t *testing.T) {
	for name, s := range inTime {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := watch(t.Context(), s, watched())
				var took []time.Duration
				for _, second := range r.decided[20:] {
					var newest arrival[drivers.Sample]
					for _, a := range r.samples {
						if !a.at.After(second.at) && !a.value.Time.After(second.value.End) {
							newest = a
						}
					}
					from := newest.at
					if from.Before(second.value.End) {
						from = second.value.End // a verdict is never made before the end of its window
					}
					took = append(took, second.at.Sub(from))
				}
				slices.Sort(took)
				if p95 := took[len(took)*95/100]; p95 > 8*time.Millisecond {
					t.Errorf("%s at the 95th percentile, %s in the median", p95, took[len(took)/2])
				}
			})
		})
	}
}

// No second waits beyond its bound, and there is one verdict a second.
func TestNoSecondWaitsBeyondItsBound(t *testing.T) {
	for _, table := range []map[string]senses{inTime, notInTime} {
		for name, s := range table {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := watch(t.Context(), s, halfHour/10)
					if n := len(r.decided); n < 178 || n > 183 {
						t.Errorf("%d verdicts in 180 s", n)
					}
					for i, second := range r.decided[3:] {
						if late := second.at.Sub(second.value.End); late > 650*time.Millisecond || late < 0 {
							t.Errorf("second %d was decided %s after its end", i, late)
						}
						if gap := second.at.Sub(r.decided[i+2].at); gap < 300*time.Millisecond || gap > 1200*time.Millisecond {
							t.Errorf("second %d came %s after the one before", i, gap)
						}
					}
				})
			})
		}
	}
}

// A camera child that does not answer delays a verdict to its bound and no further.
func TestSilentVideoDelaysNoVerdictBeyondItsBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := senses{period: 500 * time.Millisecond, interval: frames25}
		r := &recording{}
		v := &relay{r: r, every: 200 * time.Millisecond}
		s.run(t.Context(), r, NewLoop(deciderFor(s, newCounting(r)), silent{v}, r.note), time.Minute)
		if len(r.decided) < 58 {
			t.Fatalf("%d verdicts in a minute", len(r.decided))
		}
		for i, second := range r.decided[2:] {
			if late := second.at.Sub(second.value.End); late != 155*time.Millisecond+encodeTakes {
				t.Fatalf("second %d was decided %s after its end", i, late)
			}
		}
	})
}

// silent never answers.
type silent struct{ *relay }

func (silent) Refresh() <-chan struct{} { return make(chan struct{}) }

// A sample that comes into the window allocates nothing.
func TestSampleIntoTheWindowAllocatesNothing(t *testing.T) {
	r := &recording{}
	loop := NewLoop(deciderFor(senses{period: 100 * time.Millisecond}, newCounting(r)), &relay{r: r, every: time.Second}, r.note)
	at, n := time.Now(), 0
	one := func() {
		n++
		at = at.Add(100 * time.Millisecond)
		loop.Offer(drivers.Sample{Time: at, Current: [drivers.Phases]float64{15000 + float64(n%7), 15000, 15000 - float64(n%5)}, SetPoint: 15000, Next: at.Add(100 * time.Millisecond)})
		loop.drain()
		loop.wait(at.Add(time.Millisecond))
	}
	many := func() {
		for range 5000 { // twice the samples that are kept
			one()
		}
	}
	if allocations := testing.AllocsPerRun(1, many); allocations > 0 {
		t.Errorf("%v allocations in 5,000 samples", allocations)
	}
}
