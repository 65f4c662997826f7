package decide

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"sync"
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
	bursts        bool          // five frames a second, of which the last two come with the next burst
	lagJitter     time.Duration // by which lag is longer at most
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
	encoded []uint32 // numbers of the frames that the model encoded
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

// encodeTakes is how long the counting model takes to encode a frame.
const encodeTakes = 4 * time.Millisecond

func newCounting(r *recording) *counting {
	m := &counting{scripted: scripted{Mutex: &sync.Mutex{}, p: 0.1, sha256: "one"}, r: r}
	m.tokens = func(f inference.Frame) []float32 {
		number := binary.BigEndian.Uint32(f.Pixels)
		r.mu.Lock()
		r.encoded = append(r.encoded, number)
		r.mu.Unlock()
		time.Sleep(encodeTakes)
		return []float32{float32(number), 1}
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
	s.run(ctx, r, loop, lasts)
	return r
}

// run lets the senses measure in front of a loop for a time.
func (s senses) run(ctx context.Context, r *recording, loop *Loop, lasts time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, lasts)
	defer cancel()
	var running sync.WaitGroup
	running.Go(func() { s.meter(ctx, r, loop) })
	running.Go(func() { s.camera(ctx, r) })
	running.Go(func() { _ = loop.Run(ctx) })
	running.Wait()
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

// burstPictures are the neighbours of a second that burstCamera has.
const burstPictures = 5

// burstCamera has some neighbours a second. A decoder holds the last two of them until the
// next ones begin.
func (s senses) burstCamera(ctx context.Context, r *recording) {
	const held = 2
	random := rand.New(rand.NewPCG(7, 9))
	began := time.Now().Add(s.framePhase - time.Second)
	taken := func(n int) time.Time {
		return began.Add(time.Duration(n/burstPictures)*time.Second + time.Duration(n%burstPictures)*s.interval)
	}
	for n := 0; ; n++ {
		lag := s.lag
		if s.lagJitter > 0 {
			lag += time.Duration(random.Int64N(int64(s.lagJitter)))
		}
		if !sleepTo(ctx, taken(n+held).Add(lag)) {
			return
		}
		f := drivers.Frame{Time: taken(n), Number: uint64(n + 1), Stream: 1, Burst: true, Pixels: binary.BigEndian.AppendUint32(nil, uint32(n+1))}
		r.mu.Lock()
		r.frames = append(r.frames, arrival[drivers.Frame]{time.Now(), f})
		r.mu.Unlock()
	}
}

func (s senses) camera(ctx context.Context, r *recording) {
	if s.bursts {
		s.burstCamera(ctx, r)
		return
	}
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
