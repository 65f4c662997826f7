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

// No file of the last run, however damaged, reaches the model with an invalid value.
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
