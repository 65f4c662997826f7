package decide

import (
	"testing"
	"time"

	"meltwatch/agent/state"
	"meltwatch/inference"
)

// candidate returns another decider for the same plant, with other thresholds.
func (p *plant) candidate() (*Decider, *scripted) {
	model := &scripted{Mutex: &p.Mutex, p: 0.1}
	return NewDecider(Settings{
		Manifest: manifest(), Rule: inference.Rule{CV120: 0.05, CV45: 0.03}, Timeout: 700 * time.Millisecond,
		Params: state.Params{MeanSeconds: 5, Enter: 0.9, Exit: 0.4, HoldSeconds: 5}, Period: 500 * time.Millisecond,
	}, model), model
}

// do runs f in the loop without the plant's lock, which the loop may need.
func (p *plant) do(f func()) {
	p.t.Helper()
	p.Unlock()
	defer p.Lock()
	if err := p.loop.Do(p.t.Context(), f); err != nil {
		p.t.Fatal(err)
	}
}

// longestPause is the longest time between two decided seconds.
func (p *plant) longestPause() time.Duration {
	var longest time.Duration
	for i := 1; i < len(p.seconds); i++ {
		longest = max(longest, p.seconds[i].End.Sub(p.seconds[i-1].End))
	}
	return longest
}

func TestShadowThatHangsDelaysNothing(t *testing.T) {
	operate(t, func(p *plant) {
		p.sleep(150 * time.Second)
		judge, model := p.candidate()
		model.stalls = true
		faults := 0
		p.do(func() {
			p.loop.Shadow(judge, func(c Comparison) {
				if c.Shadow.Fault != nil && c.Live.Fault == nil {
					faults++
				}
			})
		})
		before := len(p.seconds)
		p.sleep(60 * time.Second)
		if n := len(p.seconds) - before; n < 59 || faults < 59 {
			t.Errorf("%d seconds decided, %d compared with a hanging shadow, in 60", n, faults)
		}
		if pause := p.longestPause(); pause > 1500*time.Millisecond {
			t.Errorf("a pause of %s", pause)
		}
		p.want(state.Normal, state.Model)
	})
}

// The candidate has 16 frames and all samples at the swap: every second has a verdict
// by a model, and the state is kept.
func TestSwapMissesNoVerdictAndKeepsTheState(t *testing.T) {
	operate(t, func(p *plant) {
		p.sleep(150 * time.Second)
		p.model.p = 0.8
		p.sleep(10 * time.Second)
		p.want(state.Abnormal, state.Model)
		judge, model := p.candidate()
		model.p = 0.7
		compared := Comparison{}
		p.do(func() { p.loop.Shadow(judge, func(c Comparison) { compared = c }) })
		p.sleep(20 * time.Second)
		if compared.Shadow.CurrentCoverage < 0.99 || compared.Shadow.VideoCoverage != 1 || compared.Shadow.Verdict.P < 0.69 {
			t.Fatalf("the shadow's window is incomplete: %+v", compared.Shadow)
		}
		since := p.last().Status.Since
		p.do(func() { p.loop.Swap() })
		p.sleep(5 * time.Second)
		// 0.7 is under the candidate's threshold to enter and over the one to leave.
		p.want(state.Abnormal, state.Model)
		if last := p.last(); last.Verdict.P > 0.71 || last.Status.Since != since {
			t.Errorf("p %v since %s, want the candidate's 0.7 since %s", last.Verdict.P, last.Status.Since, since)
		}
		// The old model shadows now, so it can return at once.
		p.do(func() { p.loop.Swap() })
		p.sleep(2 * time.Second)
		if last := p.last(); last.Verdict.P < 0.79 {
			t.Errorf("p %v, want the old model's 0.8", last.Verdict.P)
		}
		p.do(p.loop.Unshadow)
		p.do(func() {
			if p.loop.Swap() {
				t.Error("swapped without a shadow")
			}
		})
		for i, s := range p.seconds {
			if i > 60 && s.Verdict.Source != state.Model {
				t.Fatalf("second %d by %s: %v", i, s.Verdict.Source, s.Fault)
			}
		}
		if pause := p.longestPause(); pause > 1500*time.Millisecond {
			t.Errorf("a pause of %s", pause)
		}
	})
}

func TestAdoptedSettingsKeepTheWindow(t *testing.T) {
	operate(t, func(p *plant) {
		p.sleep(150 * time.Second)
		p.model.p = 0.5
		p.do(func() {
			p.loop.Decider().Adopt(Settings{
				Rule: inference.Rule{CV120: 0.05, CV45: 0.03}, Timeout: 700 * time.Millisecond,
				Params: state.Params{MeanSeconds: 5, Enter: 0.4, Exit: 0.3, HoldSeconds: 5}, Period: 500 * time.Millisecond,
			})
		})
		p.sleep(10 * time.Second)
		p.want(state.Abnormal, state.Model)
		if last := p.last(); last.CurrentCoverage < 0.99 || last.VideoCoverage != 1 {
			t.Errorf("coverage %v and %v", last.CurrentCoverage, last.VideoCoverage)
		}
	})
}
