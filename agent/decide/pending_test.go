package decide

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"meltwatch/agent/state"
	"meltwatch/drivers"
	"meltwatch/inference"
)

// senses describe a meter and a camera: how often they measure, how long a value takes to
// arrive, and what is wrong with them.
type senses struct {
	period, phase time.Duration // of the polls
	delay         time.Duration // from a sample's instant to its arrival
	jitter        time.Duration // of the sample's instants, either way
	lost, invalid float64       // shares of the samples
	unscheduled   bool          // the source does not tell when it polls next
	interval      time.Duration // of the frames; 0 without a camera
	framePhase    time.Duration
	lag           time.Duration // from a frame's instant to its arrival
	unasked       bool          // the video cannot be asked, and has a new frame every 200 ms
}

// arrival is a value and when it arrived.
type arrival[T any] struct {
	at    time.Time
	value T
}

// recording is everything that happened in front of a loop.
type recording struct {
	mu      sync.Mutex
	samples []arrival[drivers.Sample]
	frames  []arrival[drivers.Frame]
	decided []arrival[Decision]
	windows []inference.Window
}

// note records a decision. One that is reported again because a sense has changed is left
// out.
func (r *recording) note(d Decision) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.decided); n == 0 || !r.decided[n-1].value.End.Equal(d.End) {
		r.decided = append(r.decided, arrival[Decision]{time.Now(), d})
	}
}

// relay is a Video with the frames of a recording. With every set, it fetches them at
// intervals, as the client of the camera's child does.
type relay struct {
	r      *recording
	began  time.Time
	every  time.Duration
	asked  time.Time
	absent bool
}

func (v *relay) Newest() (f drivers.Frame, status drivers.Status) {
	v.r.mu.Lock()
	defer v.r.mu.Unlock()
	fetched := time.Now().Truncate(v.every)
	if v.asked.After(fetched) {
		fetched = v.asked
	}
	for _, a := range v.r.frames {
		if !a.at.After(fetched) {
			f = a.value
		}
	}
	if v.absent || f.Number == 0 {
		return f, drivers.Absent
	}
	return f, drivers.OK
}

// asking is a relay that answers within 3 ms.
type asking struct{ *relay }

func (v asking) Refresh() <-chan struct{} {
	answered := make(chan struct{})
	time.AfterFunc(3*time.Millisecond, func() {
		v.r.mu.Lock()
		v.asked = time.Now()
		v.r.mu.Unlock()
		close(answered)
	})
	return answered
}

// counting is a model whose tokens are the frame's number.
type counting struct {
	scripted
	r *recording
}

func (m *counting) Step(ctx context.Context, w inference.Window) (inference.Outputs, error) {
	m.r.mu.Lock()
	m.r.windows = append(m.r.windows, w)
	m.r.mu.Unlock()
	return m.scripted.Step(ctx, w)
}

func newCounting(r *recording) *counting {
	m := &counting{scripted: scripted{Mutex: &sync.Mutex{}, p: 0.1, sha256: "one"}, r: r}
	m.tokens = func(f inference.Frame) []float32 {
		return []float32{float32(binary.BigEndian.Uint32(f.Pixels)), 1}
	}
	return m
}

func deciderFor(s senses, m Model) *Decider {
	every := manifest()
	every.Sampling = &inference.Sampling{RatesHz: []float64{1.0 / 3, 1, 2}, Coverage: 0.3}
	return NewDecider(Settings{
		Manifest: every, Rule: inference.Rule{CV120: 0.05, CV45: 0.03}, Timeout: 700 * time.Millisecond,
		Params: state.Params{MeanSeconds: 5, Enter: 0.6, Exit: 0.4, HoldSeconds: 5}, Period: s.period,
	}, m)
}

// watch runs a loop in front of the senses for a time.
func watch(ctx context.Context, s senses, lasts time.Duration) *recording {
	r := &recording{}
	m := newCounting(r)
	v := &relay{r: r, began: time.Now(), every: 200 * time.Millisecond, absent: s.interval == 0}
	var video Video = asking{v}
	if s.unasked {
		video = v
	}
	loop := NewLoop(deciderFor(s, m), video, r.note)
	ctx, cancel := context.WithTimeout(ctx, lasts)
	defer cancel()
	var running sync.WaitGroup
	running.Go(func() { s.meter(ctx, r, loop) })
	running.Go(func() { s.camera(ctx, r) })
	running.Go(func() { _ = loop.Run(ctx) })
	running.Wait()
	return r
}

func sleepTo(ctx context.Context, t time.Time) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(time.Until(t)):
		return true
	}
}

func (s senses) meter(ctx context.Context, r *recording, loop *Loop) {
	random := rand.New(rand.NewPCG(3, 5))
	due := time.Now().Add(s.phase)
	for n := 0; s.period > 0; n++ {
		sample := drivers.Sample{Time: due, SetPoint: 15000, Next: due.Add(s.period - s.jitter)}
		if s.jitter > 0 {
			sample.Time = due.Add(time.Duration(random.Int64N(int64(2*s.jitter))) - s.jitter)
		}
		if s.unscheduled {
			sample.Next = time.Time{}
		}
		for phase := range sample.Current {
			sample.Current[phase] = 15000 + 1500*random.NormFloat64()
		}
		if random.Float64() < s.invalid {
			sample.Current, sample.Missing = [3]float64{}, "phase A: out of bounds"
		}
		due = due.Add(s.period)
		if !sleepTo(ctx, sample.Time.Add(s.delay)) {
			return
		}
		if random.Float64() < s.lost {
			continue
		}
		r.mu.Lock()
		r.samples = append(r.samples, arrival[drivers.Sample]{time.Now(), sample})
		r.mu.Unlock()
		loop.Offer(sample)
	}
}

func (s senses) camera(ctx context.Context, r *recording) {
	taken := time.Now().Add(s.framePhase)
	for n := uint64(1); s.interval > 0 && sleepTo(ctx, taken.Add(s.lag)); n++ {
		f := drivers.Frame{Time: taken, Number: n, Stream: 1, Pixels: binary.BigEndian.AppendUint32(nil, uint32(n))}
		r.mu.Lock()
		r.frames = append(r.frames, arrival[drivers.Frame]{time.Now(), f})
		r.mu.Unlock()
		taken = taken.Add(s.interval)
	}
}

// waiting decides the recorded seconds again, each when it is due, from everything that had
// arrived until then.
func waiting(ctx context.Context, s senses, r *recording) (windows []inference.Window) {
	again := &recording{}
	d := deciderFor(s, newCounting(again))
	samples, n := r.samples, 0
	for _, second := range r.decided {
		due := Due(second.value.End, second.at)
		for len(samples) > 0 && !samples[0].at.After(due) {
			d.Sample(samples[0].value)
			samples = samples[1:]
		}
		var frame drivers.Frame
		for _, f := range r.frames {
			if !f.at.After(due) {
				frame = f.value
			}
		}
		status := drivers.OK
		if frame.Number == 0 {
			status = drivers.Absent
		}
		d.DecideDue(ctx, due, due, frame, status)
		n++
	}
	return again.windows
}

const (
	frames25 = 40 * time.Millisecond
	halfHour = 30 * time.Minute
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

// A verdict that does not wait is the verdict that would have waited.
func TestWindowIsTheOneThatWouldHaveWaited(t *testing.T) {
	for _, table := range []map[string]senses{inTime, notInTime} {
		for name, s := range table {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := watch(t.Context(), s, 5*time.Minute)
					again := waiting(t.Context(), s, r)
					if len(again) < 250 || len(r.windows) < len(again) {
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
					if allowed := len(again) / 100; differ > allowed || differ > 0 && s.lost == 0 {
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
				r := watch(t.Context(), s, 5*time.Minute)
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
		loop := NewLoop(deciderFor(s, newCounting(r)), silent{v}, r.note)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var running sync.WaitGroup
		running.Go(func() { s.meter(ctx, r, loop) })
		running.Go(func() { s.camera(ctx, r) })
		running.Go(func() { _ = loop.Run(ctx) })
		running.Wait()
		if len(r.decided) < 58 {
			t.Fatalf("%d verdicts in a minute", len(r.decided))
		}
		for i, second := range r.decided[2:] {
			if late := second.at.Sub(second.value.End); late != 155*time.Millisecond {
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
