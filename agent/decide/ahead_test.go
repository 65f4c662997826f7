package decide

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"meltwatch/drivers"
)

// The frame is encoded while the second waits for its newest sample, so the time that this
// takes does not delay the verdict: where the sample comes when its window ends or later, the
// verdict follows it at once.
func TestFrameIsEncodedBeforeTheNewestSampleArrives(t *testing.T) {
	cases := map[string]senses{
		"bursts": {period: 500 * time.Millisecond, delay: 2 * time.Millisecond, interval: frames25, bursts: true, framePhase: 300 * time.Millisecond, lag: 10 * time.Millisecond},
	}
	for name, s := range inTime {
		if s.interval > 0 && s.lag < 300*time.Millisecond { // a later frame is only just in time
			cases[name] = s
		}
	}
	for name, s := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := watch(t.Context(), s, watched())
				late := 0
				for _, second := range r.decided[20:] {
					from := second.value.End
					for _, a := range r.samples {
						if !a.at.After(second.at) && !a.value.Time.After(second.value.End) && a.at.After(from) {
							from = a.at
						}
					}
					if second.at.Sub(from) >= encodeTakes {
						late++
					}
				}
				if seconds := len(r.decided) - 20; late > seconds/50 {
					t.Errorf("in %d of %d seconds the verdict waited for the model to encode", late, seconds)
				}
			})
		})
	}
}

// One frame a second is encoded, also if newer ones arrive before the verdict: the background
// is a mean of the frames that were encoded, and would otherwise follow twice as fast.
func TestOneFrameASecondIsEncoded(t *testing.T) {
	cases := map[string]senses{}
	for name, s := range inTime {
		if s.interval > 0 {
			cases[name] = s
		}
	}
	for phase := time.Duration(0); phase < time.Second; phase += phaseStep() {
		cases["bursts at "+phase.String()] = senses{period: 500 * time.Millisecond, interval: frames25, bursts: true, framePhase: phase, lag: 10 * time.Millisecond}
	}
	for name, s := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := watch(t.Context(), s, watched())
				if got, most := len(r.encoded), len(r.decided); got > most+1 || got < most-5 {
					t.Errorf("%d frames in %d seconds", got, most)
				}
			})
		})
	}
}

// A frame that the model could not encode ahead is encoded with its second.
func TestFrameThatWasNotEncodedAheadIsEncodedWithItsSecond(t *testing.T) {
	d := deciderFor(senses{period: 500 * time.Millisecond}, nil)
	m := &scripted{Mutex: &sync.Mutex{}, p: 0.1, sha256: "one", err: errors.New("broken")}
	d.model = m
	now := time.Now()
	for i := range 60 {
		d.Sample(drivers.Sample{Time: now.Add(time.Duration(i-60) * 500 * time.Millisecond), Current: [3]float64{15_000 + float64(i%7), 15_000, 15_000}})
	}
	frame := drivers.Frame{Number: 1, Stream: 1, Time: now.Add(-50 * time.Millisecond), Pixels: []byte{1}}
	d.EncodeAhead(t.Context(), now.Add(time.Hour), frame, drivers.OK)
	m.err = nil
	if s := d.Decide(t.Context(), now, frame, drivers.OK); s.Fault != nil || !d.lastFrame.Equal(frame.Time) {
		t.Errorf("fault %v, newest encoded frame %v", s.Fault, d.lastFrame)
	}
}

// A model that does not answer delays no second beyond its timeout.
func TestSilentModelDelaysNoSecond(t *testing.T) {
	for _, timeout := range []time.Duration{700 * time.Millisecond, 900 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			s := senses{period: 500 * time.Millisecond, interval: frames25}
			r := &recording{}
			m := newCounting(r)
			v := &relay{r: r, every: 200 * time.Millisecond}
			d := deciderFor(s, m)
			d.timeout = timeout
			loop := NewLoop(d, asking{v}, r.note)
			m.stalls = true
			s.run(t.Context(), r, loop, time.Minute)
			var gaps []time.Duration
			for i := 1; i < len(r.decided); i++ {
				gaps = append(gaps, r.decided[i].at.Sub(r.decided[i-1].at))
			}
			if len(gaps) < 55 || slices.Max(gaps) > 1200*time.Millisecond {
				t.Errorf("timeout %s: %d verdicts a minute, %s apart at most", timeout, len(gaps)+1, slices.Max(gaps))
			}
		})
	}
}

// The time of the live model includes its picture, also where that is encoded ahead: a candidate
// is judged by it once it is live.
func TestTimeOfTheLiveModelIncludesThePictureAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := senses{period: 500 * time.Millisecond, interval: frames25}
		r := &recording{}
		loop := NewLoop(deciderFor(s, newCounting(r)), asking{&relay{r: r, every: 200 * time.Millisecond}}, r.note)
		var took []time.Duration
		loop.Shadow(deciderFor(s, newCounting(&recording{})), func(c Comparison) { took = append(took, c.LiveTook) })
		s.run(t.Context(), r, loop, time.Minute)
		slices.Sort(took)
		if n := len(took); n < 55 || took[n/10] < encodeTakes {
			t.Errorf("%d seconds, a tenth of them within %s", n, took[n/10])
		}
	})
}
