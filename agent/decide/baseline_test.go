package decide

import (
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"meltwatch/agent/state"
	"meltwatch/drivers"
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

// A state of an earlier release has no baseline.
func TestNothingIsLearntDuringAnAlarmThatIsResumedWithoutABaseline(t *testing.T) {
	d, m, _ := afterBaseline(CurrentBaseline{})
	now := time.Now()
	d.Machine().Resume(state.Saved{State: state.Abnormal, Since: now, Seen: now, By: state.Model}, now)
	d.seconds(t, now, 25)
	for i, w := range m.windows {
		if w.CurrentBaseline != nil {
			t.Fatalf("call %d is given %v", i, w.CurrentBaseline)
		}
	}
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

// afterBaseline is a decider of a furnace without a camera whose last run ended with a baseline,
// and its model.
func afterBaseline(last CurrentBaseline) (d *Decider, m *scripted, refused error) {
	m = &scripted{Mutex: &sync.Mutex{}, p: 0.1, sha256: "one"}
	m.counts(nil)
	d = NewDecider(Settings{
		Manifest: fluctuating(), Timeout: time.Second, Period: 500 * time.Millisecond,
		Params: state.Params{
			MeanSeconds: 5, Enter: 0.6, Exit: 0.4, HoldSeconds: 5,
			Suspect: state.Suspect{MeanSeconds: 5, Enter: 0.8, Exit: 0.4, HoldSeconds: 5},
		},
	}, m)
	return d, m, d.ResumeCurrentBaseline(last)
}

// seconds decides for so many seconds without a camera.
func (d *Decider) seconds(t *testing.T, from time.Time, n int) (now time.Time) {
	t.Helper()
	for now = from; n > 0; n-- {
		for range 2 {
			now = now.Add(500 * time.Millisecond)
			d.Sample(drivers.Sample{Time: now, Current: [3]float64{15_000 + 500*float64(now.Second()%7), 15_000, 15_000}, SetPoint: 15_000})
		}
		d.Decide(t.Context(), now.Add(200*time.Millisecond), drivers.Frame{}, drivers.Absent)
	}
	return now
}

func TestBaselineOfAnAlarmIsResumed(t *testing.T) {
	kept := CurrentBaseline{Model: "one", Values: inference.AppendFloats(nil, []float32{0.25, 4})}
	with := func(values ...float32) CurrentBaseline {
		return CurrentBaseline{Model: "one", Values: inference.AppendFloats(nil, values)}
	}
	for name, c := range map[string]struct {
		last    CurrentBaseline
		want    []float32
		refused string
	}{
		"the same":         {kept, []float32{0.25, 4}, ""},
		"of another model": {CurrentBaseline{"two", kept.Values}, nil, ""},
		"cut off":          {CurrentBaseline{"one", kept.Values[:5]}, nil, "the baseline of the current has 5 bytes, want 8"},
		"empty":            {CurrentBaseline{"one", nil}, nil, "has 0 bytes, want 8"},
		"a value too many": {with(1, 2, 3), nil, "has 12 bytes, want 8"},
		"with a NaN":       {with(1, float32(math.NaN())), nil, "the baseline of the current holds a value that is not finite"},
		"with an infinity": {with(1, float32(math.Inf(1))), nil, "holds a value that is not finite"},
	} {
		t.Run(name, func(t *testing.T) {
			d, m, refused := afterBaseline(c.last)
			if (refused != nil) != (c.refused != "") || refused != nil && !strings.Contains(refused.Error(), c.refused) {
				t.Errorf("error %v, want %q", refused, c.refused)
			}
			d.seconds(t, time.Now(), 1)
			if got := m.windows[0].CurrentBaseline; !slices.Equal(got, c.want) {
				t.Errorf("the first call is given %v, want %v", got, c.want)
			}
		})
	}
}

// A model of an earlier export has no use for what a newer one left.
func TestBaselineForAModelWithoutOneIsRefused(t *testing.T) {
	for _, values := range [][]byte{nil, inference.AppendFloats(nil, []float32{0.25, 4})} {
		d, m := after(Background{})
		if err := d.ResumeCurrentBaseline(CurrentBaseline{Model: "one", Values: values}); err == nil {
			t.Errorf("%d bytes are accepted", len(values))
		}
		d.seconds(t, time.Now(), 1)
		if got := m.given(); got != nil {
			t.Errorf("the model is given %v", got)
		}
	}
}

func TestResumedBaselineStandsStill(t *testing.T) {
	for name, c := range map[string]struct {
		saved func(now time.Time) state.Saved
		still int // seconds
	}{
		"during the alarm": {func(now time.Time) state.Saved {
			return state.Saved{State: state.Abnormal, Since: now, Seen: now, By: state.Model}
		}, 25},
		// 30 s of current allow a verdict, which ends the suspicion.
		"during the suspicion": {func(now time.Time) state.Saved {
			return state.Saved{State: state.Normal, Since: now, Seen: now, Suspected: now}
		}, 25},
	} {
		t.Run(name, func(t *testing.T) {
			d, m, err := afterBaseline(CurrentBaseline{Model: "one", Values: inference.AppendFloats(nil, []float32{0.25, 4})})
			if err != nil {
				t.Fatal(err)
			}
			now := time.Now()
			d.Machine().Resume(c.saved(now), now)
			now = d.seconds(t, now, c.still)
			for i, w := range m.windows {
				if !slices.Equal(w.CurrentBaseline, []float32{0.25, 4}) {
					t.Fatalf("call %d is given %v", i, w.CurrentBaseline)
				}
			}
			last := d.CurrentBaseline()
			if last == nil || last.Model != "one" || !slices.Equal(inference.Floats(last.Values), []float32{0.25, 4}) {
				t.Fatalf("the baseline to keep is %+v", last)
			}
			if d.Background() != nil {
				t.Error("a furnace without a camera has a background")
			}
			d.Machine().Acknowledge(now)
			d.seconds(t, now, 60)
			if got := m.given(); got[0] < 10 || got[1] != 4 {
				t.Errorf("a minute after the end a call is given %v", got)
			}
		})
	}
}

// A further restart before the model is loaded loses nothing.
func TestBaselineIsKeptUntilTheModelIsLoaded(t *testing.T) {
	kept := CurrentBaseline{Model: "one", Values: inference.AppendFloats(nil, []float32{0.25, 4})}
	d, m, _ := afterBaseline(kept)
	loading := &unloaded{m, true}
	d.model = loading
	now := d.seconds(t, time.Now(), 1)
	if b := d.CurrentBaseline(); b == nil || !slices.Equal(b.Values, kept.Values) {
		t.Fatalf("before the model is loaded, the baseline to keep is %+v", b)
	}
	m.windows = nil
	loading.loading = false
	d.seconds(t, now, 1)
	if got := m.given(); !slices.Equal(got, []float32{0.25, 4}) {
		t.Errorf("once it is loaded, a call is given %v", got)
	}
}

func TestUnknownBaselineIsNotKept(t *testing.T) {
	d, _, _ := afterBaseline(CurrentBaseline{})
	if b := d.CurrentBaseline(); b != nil {
		t.Errorf("%+v", b)
	}
}

// No file of the last run, however damaged, makes the model see values that are none.
func FuzzResumeCurrentBaseline(f *testing.F) {
	f.Add("one", inference.AppendFloats(nil, []float32{0.25, 4}))
	f.Add("one", []byte{0, 0, 0xc0, 0x7f, 0, 0, 0, 0})
	f.Add("", []byte(nil))
	f.Fuzz(func(t *testing.T, model string, values []byte) {
		d, m, _ := afterBaseline(CurrentBaseline{model, values})
		d.seconds(t, time.Now(), 1)
		got := m.windows[0].CurrentBaseline
		if got != nil && len(got) != 2 || inference.CheckFinite(inference.CurrentBaseline, got) != nil {
			t.Fatalf("the model is given %v", got)
		}
	})
}
