package decide

import (
	"context"
	"math"
	"testing"
	"time"

	"meltwatch/agent/state"
	"meltwatch/inference"
)

// set adopts a delay of the video while the plant runs.
func (p *plant) set(delay time.Duration) {
	p.t.Helper()
	p.Unlock()
	defer p.Lock()
	if err := p.loop.Do(context.Background(), func() {
		p.loop.Decider().Adopt(Settings{
			Rule: inference.Rule{CV120: 0.05, CV45: 0.03}, Timeout: 700 * time.Millisecond,
			Params: state.Params{MeanSeconds: 5, Enter: 0.6, Exit: 0.4, HoldSeconds: 5}, Period: 500 * time.Millisecond, Delay: delay,
		})
	}); err != nil {
		p.t.Fatal(err)
	}
}

// away is by how many seconds the frames of the newest window are misplaced.
func (p *plant) away() float64 {
	return misplaced(p.model.windows[len(p.model.windows)-1])
}

// A delay that a person sets is corrected at once, also where nothing shows it, and the
// estimate goes on from there.
func TestDelayThatIsSetIsCorrectedAtOnce(t *testing.T) {
	lateVideo(t, 3, func(p *plant) {
		p.noise = 300 // without events
		p.sleep(30 * time.Second)
		if away := p.away(); math.Abs(away-3) > 0.8 {
			t.Fatalf("frames are %v s away before it is set", away)
		}
		p.set(3 * time.Second)
		p.sleep(20 * time.Second)
		if s := p.last(); math.Abs(p.away()) > 0.8 || s.Correction != 3*time.Second || s.Offset != nil || s.VideoCoverage < 0.9 {
			t.Errorf("frames are %v s away, correction %s, offset %v, coverage %v", p.away(), s.Correction, s.Offset, s.VideoCoverage)
		}
		p.set(3 * time.Second) // other settings were adopted
		p.sleep(5 * time.Second)
		if s := p.last(); s.Correction != 3*time.Second {
			t.Errorf("correction %s", s.Correction)
		}
	})
	lateVideo(t, 2, func(p *plant) {
		p.set(4 * time.Second) // wrong
		p.sleep(2 * time.Second)
		if s := p.last(); s.Correction != 4*time.Second || s.Offset != nil {
			t.Fatalf("correction %s, offset %v", s.Correction, s.Offset)
		}
		p.sleep(40 * time.Minute)
		if s := p.last(); math.Abs(s.Correction.Seconds()-2) > 0.4 {
			t.Errorf("corrected by %s after 40 minutes, want 2 s", s.Correction)
		}
	})
}

// A model that does not estimate the offset corrects what is set.
func TestDelayWithAModelWithoutLocalLoss(t *testing.T) {
	operate(t, func(p *plant) {
		p.set(-2 * time.Second)
		p.sleep(time.Minute)
		if s := p.last(); s.Correction != -2*time.Second || s.Offset != nil || s.VideoCoverage < 0.8 {
			t.Errorf("correction %s, offset %v, coverage %v", s.Correction, s.Offset, s.VideoCoverage)
		}
	})
}
