package decide

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"meltwatch/agent/state"
	"meltwatch/inference"
)

// fluctuating is a manifest of a model with a baseline of the current of two values.
func fluctuating() *inference.Manifest {
	m := freezing()
	pair := map[string]inference.Tensor{inference.CurrentBaseline: {DType: "float32", Shape: []int{1, 2}}}
	m.Signatures = map[string]inference.Signature{inference.Step: {Inputs: pair, Outputs: pair}}
	return m
}

// counts makes a model count the calls of one baseline: it returns one more than it is given. more
// are its other outputs.
func (m *scripted) counts(more inference.Outputs) {
	m.more = func(w inference.Window) inference.Outputs {
		next := []float32{1, 0}
		if w.CurrentBaseline != nil {
			next[0], next[1] = w.CurrentBaseline[0]+1, w.CurrentBaseline[1]
		}
		outputs := inference.Outputs{inference.CurrentBaseline: next}
		for name, values := range more {
			outputs[name] = values
		}
		return outputs
	}
}

// given is the baseline of the newest window, nil without one.
func (m *scripted) given() []float32 { return m.windows[len(m.windows)-1].CurrentBaseline }

// learns is by how many calls the baseline moves in a time.
func (p *plant) learns(d time.Duration) int {
	p.t.Helper()
	p.sleep(1500 * time.Millisecond) // the second that is being decided
	before := p.model.given()
	p.sleep(d)
	after := p.model.given()
	switch {
	case after == nil:
		return 0
	case before == nil:
		return int(after[0])
	}
	return int(after[0] - before[0])
}

func TestReturnedBaselineGoesIntoTheNextCall(t *testing.T) {
	operateWith(t, fluctuating(), func(p *plant) {
		p.model.counts(nil)
		p.sleep(60 * time.Second)
		p.last()
		for i, w := range p.model.windows {
			if i == 0 && w.CurrentBaseline != nil || i > 0 && !slices.Equal(w.CurrentBaseline, []float32{float32(i), 0}) {
				t.Fatalf("call %d is given %v", i, w.CurrentBaseline)
			}
		}
		if n := len(p.model.windows); n < 55 {
			t.Errorf("%d calls", n)
		}
	})
}

func TestModelWithoutABaselineIsGivenNone(t *testing.T) {
	operate(t, func(p *plant) {
		p.model.counts(nil)
		p.sleep(30 * time.Second)
		p.want(state.Warming, state.Model)
		for i, w := range p.model.windows {
			if w.CurrentBaseline != nil {
				t.Fatalf("call %d is given %v", i, w.CurrentBaseline)
			}
		}
	})
}

func TestBaselineStandsStillWithTheBackground(t *testing.T) {
	for name, c := range map[string]struct {
		p, current float32
		learns     bool
	}{
		"normal":         {0.1, 0.1, true},
		"abnormal":       {0.9, 0.1, false},
		"one sense does": {0.1, 0.8, false},
	} {
		t.Run(name, func(t *testing.T) {
			operateWith(t, fluctuating(), func(p *plant) {
				p.model.counts(nil)
				p.sleep(130 * time.Second)
				p.model.p = c.p
				p.model.counts(inference.Outputs{inference.PCurrent: {c.current}, inference.PVideo: {0.1}})
				if n := p.learns(30 * time.Second); (n > 25) != c.learns || n > 0 && !c.learns {
					t.Errorf("the baseline moved %d times in 30 s", n)
				}
			})
		})
	}
}

// What the model returns in the first second that looks abnormal is not taken over: it already
// includes the quiet current.
func TestFirstAbnormalSecondDoesNotMoveTheBaseline(t *testing.T) {
	operateWith(t, fluctuating(), func(p *plant) {
		p.model.counts(nil)
		p.sleep(130 * time.Second)
		p.last()
		calls := len(p.model.windows)
		p.model.p = 0.9
		p.sleep(3 * time.Second)
		p.last()
		for _, w := range p.model.windows[calls:] {
			if got := int(w.CurrentBaseline[0]); got != calls {
				t.Errorf("after %d normal calls, one is given %d", calls, got)
			}
		}
	})
}

func TestBaselineStandsStillUntilTheAlarmIsOver(t *testing.T) {
	operateWith(t, fluctuating(), func(p *plant) {
		p.model.counts(nil)
		p.sleep(130 * time.Second)
		p.model.p = 0.9
		p.sleep(10 * time.Second)
		p.want(state.Abnormal, state.Model)
		p.model.p = 0.45 // over the threshold to leave, and under that of the freezing
		if n := p.learns(60 * time.Second); n != 0 {
			t.Errorf("the baseline moved %d times during an alarm", n)
		}
		p.want(state.Abnormal, state.Model)
		p.model.p = 0.1
		p.sleep(30 * time.Second)
		p.want(state.Normal, state.Model)
		if n := p.learns(30 * time.Second); n < 29 {
			t.Errorf("the baseline moved %d times in 30 s after the alarm", n)
		}
	})
}

// Nothing is learnt from an episode that lasts since the start: unknown is better. The model returns
// what it is given while the window holds too little.
func TestNothingIsLearntFromAnEpisodeSinceTheStart(t *testing.T) {
	operateWith(t, fluctuating(), func(p *plant) {
		p.model.p = 0.9
		p.model.more = func(inference.Window) inference.Outputs {
			return inference.Outputs{inference.CurrentBaseline: {0, 0}}
		}
		p.sleep(40 * time.Second)
		p.want(state.Abnormal, state.Model)
		p.model.counts(nil)
		p.sleep(60 * time.Second)
		p.last()
		if got := p.model.given(); !slices.Equal(got, []float32{0, 0}) {
			t.Errorf("after a minute the model is given %v", got)
		}
	})
}

func TestAnotherModelStartsFromItsOwnBaseline(t *testing.T) {
	operateWith(t, fluctuating(), func(p *plant) {
		p.model.counts(nil)
		p.sleep(30 * time.Second)
		p.last()
		calls := len(p.model.windows)
		p.model.sha256 = "second"
		p.sleep(3 * time.Second)
		p.last()
		for i, w := range p.model.windows[calls:] {
			if i == 0 && w.CurrentBaseline != nil || i > 0 && w.CurrentBaseline[0] != float32(i) {
				t.Errorf("call %d of the other model is given %v", i, w.CurrentBaseline)
			}
		}
	})
}

// An invalid baseline is a fault of the model, and reaches no further call.
func TestInvalidBaselineIsNotPassedOn(t *testing.T) {
	for name, c := range map[string]struct {
		baseline []float32
		fault    string
	}{
		"none":             {nil, "current_baseline has 0 values, its manifest says 2"},
		"a value too few":  {[]float32{1}, "current_baseline has 1 values, its manifest says 2"},
		"a value too many": {[]float32{1, 2, 3}, "current_baseline has 3 values, its manifest says 2"},
		"a NaN":            {[]float32{1, float32(math.NaN())}, "current_baseline: value 1 is NaN"},
		"an infinity":      {[]float32{float32(math.Inf(-1)), 1}, "current_baseline: value 0 is -Inf"},
	} {
		t.Run(name, func(t *testing.T) {
			operateWith(t, fluctuating(), func(p *plant) {
				p.model.counts(nil)
				p.sleep(130 * time.Second)
				p.last()
				calls := len(p.model.windows)
				p.model.more = func(inference.Window) inference.Outputs {
					return inference.Outputs{inference.CurrentBaseline: c.baseline}
				}
				p.sleep(10 * time.Second)
				if s := p.last(); s.Fault == nil || !strings.Contains(s.Fault.Error(), c.fault) || s.Verdict.Source != state.Rule {
					t.Errorf("fault %v, verdict by %s", s.Fault, s.Verdict.Source)
				}
				if got := p.model.given(); !slices.Equal(got, []float32{float32(calls), 0}) {
					t.Errorf("after %d valid calls, the model is given %v", calls, got)
				}
				p.model.counts(nil)
				p.sleep(2 * time.Second)
				p.want(state.Normal, state.Model)
			})
		})
	}
}

// Each of two models has its own baseline, also after they are exchanged.
func TestShadowHasItsOwnBaseline(t *testing.T) {
	operateWith(t, fluctuating(), func(p *plant) {
		p.model.counts(nil)
		p.sleep(130 * time.Second)
		d, model := p.candidate()
		d.manifest = fluctuating()
		model.more = func(w inference.Window) inference.Outputs {
			next := float32(-1)
			if w.CurrentBaseline != nil {
				next = w.CurrentBaseline[0] - 1
			}
			return inference.Outputs{inference.CurrentBaseline: {next, 0}}
		}
		p.do(func() { p.loop.Shadow(d, func(Comparison) {}) })
		p.sleep(20 * time.Second)
		p.do(func() { p.loop.Swap() })
		p.sleep(20 * time.Second)
		p.last()
		for name, c := range map[string]struct {
			windows []inference.Window
			sign    float32
		}{"the first model": {p.model.windows, 1}, "its shadow": {model.windows, -1}} {
			for i, w := range c.windows {
				if i > 0 && w.CurrentBaseline[0] != c.sign*float32(i) {
					t.Fatalf("call %d of %s is given %v", i, name, w.CurrentBaseline)
				}
			}
		}
	})
}
