package decide

import (
	"context"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"meltwatch/agent/state"
	"meltwatch/drivers"
	"meltwatch/inference"
)

// scripted is a model whose outputs and faults the test sets.
type scripted struct {
	*sync.Mutex // the plant's
	p           float32
	err         error
	stalls      bool
	windows     []inference.Window
	frames      []inference.Frame
	sha256      string
	tokens      func(inference.Frame) []float32          // nil answers two constants
	more        func(inference.Window) inference.Outputs // nil adds no output
}

func (m *scripted) Model() (inference.LoadReply, bool) {
	m.Lock()
	defer m.Unlock()
	return inference.LoadReply{SHA256: m.sha256}, true
}

func (m *scripted) EncodeFrame(ctx context.Context, f inference.Frame) (inference.Encoded, error) {
	m.Lock()
	defer m.Unlock()
	if m.stalls {
		return inference.Encoded{}, m.stall(ctx)
	}
	m.frames = append(m.frames, f)
	background, tokens := []float32{float32(len(m.frames))}, []float32{1, 2}
	if m.tokens != nil {
		tokens = m.tokens(f)
	}
	return inference.Encoded{Tokens: tokens, Background: background, Evidence: []float32{0, 1, 0, 0}}, m.err
}

// stall is called with the lock held, and returns with the lock held.
func (m *scripted) stall(ctx context.Context) error {
	m.Unlock()
	<-ctx.Done()
	m.Lock()
	return ctx.Err()
}

func (m *scripted) Step(ctx context.Context, w inference.Window) (inference.Outputs, error) {
	m.Lock()
	defer m.Unlock()
	if m.stalls {
		return nil, m.stall(ctx)
	}
	m.windows = append(m.windows, w)
	outputs := inference.Outputs{inference.PAbnormal: {m.p}, inference.Alignment: {0.5}}
	if m.more != nil {
		maps.Copy(outputs, m.more(w))
	}
	return outputs, m.err
}

// scene is a Video under the test's control.
type scene struct {
	*sync.Mutex // the plant's
	number      uint64
	stream      uint64
	status      drivers.Status
	pixels      func(stamp time.Time) []byte // nil for constant pixels
}

func (s *scene) Newest() (drivers.Frame, drivers.Status) {
	s.Lock()
	defer s.Unlock()
	s.number++
	f := drivers.Frame{Time: time.Now().Add(-50 * time.Millisecond), Number: s.number, Stream: s.stream, Pixels: []byte{1, 2, 3}}
	if s.pixels != nil {
		f.Pixels = s.pixels(f.Time)
	}
	return f, s.status
}

// plant is a simulated furnace with its senses. The running script and every user of
// the fields hold the lock, so a script may change the fields.
type plant struct {
	sync.Mutex
	t       *testing.T
	model   *scripted
	video   *scene
	loop    *Loop
	seconds []Decision
	noise   float64 // standard deviation of the current in amperes
	dead    bool    // the meter does not answer
	stuck   bool    // the meter repeats itself
	// edit changes a sample before its delivery, and reports whether it is delivered;
	// nil delivers all samples unchanged.
	edit    func(*drivers.Sample) bool
	amperes float64
	// setPoint returns the meter's set-point at an instant.
	setPoint func(time.Time) float64
}

func manifest() *inference.Manifest {
	return &inference.Manifest{
		Current:  inference.CurrentSpec{RateHz: 2, Samples: 240, Phases: 3},
		Video:    inference.VideoSpec{RateHz: 1, Frames: 16, Tokens: 1, Dim: 2},
		Decision: inference.Decision{FreezeBackground: 0.5},
	}
}

// operate runs a plant in virtual time; script may change it.
func operate(t *testing.T, script func(*plant)) {
	t.Helper()
	operateWith(t, manifest(), script)
}

func operateWith(t *testing.T, m *inference.Manifest, script func(*plant)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := &plant{t: t, noise: 1500, amperes: 15_000, setPoint: func(time.Time) float64 { return 15_000 }}
		p.model = &scripted{Mutex: &p.Mutex, p: 0.1, sha256: "first"}
		p.video = &scene{Mutex: &p.Mutex, status: drivers.OK, stream: 1}
		judge := NewDecider(Settings{
			Manifest: m, Rule: inference.Rule{CV120: 0.05, CV45: 0.03}, Timeout: 700 * time.Millisecond,
			Params: state.Params{MeanSeconds: 5, Enter: 0.6, Exit: 0.4, HoldSeconds: 5}, Period: 500 * time.Millisecond,
		}, p.model)
		p.loop = NewLoop(judge, p.video, func(s Decision) {
			p.Lock()
			defer p.Unlock()
			p.seconds = append(p.seconds, s)
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- p.loop.Run(ctx) }()
		go p.meter(ctx)
		p.Lock()
		defer func() {
			p.Unlock()
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}()
		script(p)
	})
}

func (p *plant) meter(ctx context.Context) {
	random := rand.New(rand.NewPCG(1, 1))
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if s, alive := p.sample(random); alive {
			p.loop.Offer(s)
		}
	}
}

func (p *plant) sample(random *rand.Rand) (s drivers.Sample, alive bool) {
	p.Lock()
	defer p.Unlock()
	s = drivers.Sample{Time: time.Now(), SetPoint: p.setPoint(time.Now())}
	for phase := range s.Current {
		s.Current[phase] = p.amperes
		if p.amperes > 0 && !p.stuck {
			s.Current[phase] += p.noise * random.NormFloat64()
		}
	}
	if p.edit != nil && !p.edit(&s) {
		return s, false
	}
	return s, !p.dead
}

// sleep lets the plant run for a while.
func (p *plant) sleep(d time.Duration) {
	p.Unlock()
	time.Sleep(d)
	p.Lock()
}

func (p *plant) last() Decision {
	p.t.Helper()
	p.Unlock()
	synctest.Wait()
	p.Lock()
	if len(p.seconds) == 0 {
		p.t.Fatal("nothing was decided")
	}
	return p.seconds[len(p.seconds)-1]
}

func (p *plant) want(s state.State, by state.Source) {
	p.t.Helper()
	if got := p.last(); got.Status.State != s || got.Verdict.Source != by {
		p.t.Fatalf("second %d: %s by %s (%v), want %s by %s", len(p.seconds), got.Status.State, got.Verdict.Source, got.Fault, s, by)
	}
}
