package decide

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"meltwatch/agent/state"
	"meltwatch/drivers"
	"meltwatch/inference"
)

// after is a decider whose last run ended with a background, and its model. A background that is
// refused is as none.
func after(last Background) (*Decider, *scripted) {
	m := &scripted{Mutex: &sync.Mutex{}, p: 0.1, sha256: "one"}
	of := manifest()
	of.Video.Background = []int{1, 1, 2, 1}
	d := NewDecider(Settings{
		Manifest: of, Timeout: time.Second, Period: 500 * time.Millisecond, Camera: "here",
		Params: state.Params{MeanSeconds: 5, Enter: 0.6, Exit: 0.4, HoldSeconds: 5},
	}, m)
	_ = d.ResumeBackground(last) // the tests see what comes of it
	return d, m
}

func frameAt(t time.Time, n uint64) drivers.Frame {
	return drivers.Frame{Number: n, Stream: 1, Time: t, Pixels: []byte{1, 2, 3}}
}

func TestBackgroundOfAnAlarmIsResumed(t *testing.T) {
	kept := Background{Model: "one", Camera: "here", Values: inference.AppendFloats(nil, []float32{0.25, 4})}
	other := func(change func(*Background)) Background {
		b := kept
		change(&b)
		return b
	}
	for name, c := range map[string]struct {
		last Background
		want []float32
	}{
		"the same":          {kept, []float32{0.25, 4}},
		"of another model":  {other(func(b *Background) { b.Model = "two" }), nil},
		"of another camera": {other(func(b *Background) { b.Camera = "there" }), nil},
		"cut off":           {other(func(b *Background) { b.Values = b.Values[:5] }), nil},
		"empty":             {other(func(b *Background) { b.Values = nil }), nil},
		"with a NaN":        {other(func(b *Background) { b.Values = inference.AppendFloats(nil, []float32{1, float32(math.NaN())}) }), nil},
		"with an infinity":  {other(func(b *Background) { b.Values = inference.AppendFloats(nil, []float32{1, float32(math.Inf(1))}) }), nil},
		"a value too many":  {other(func(b *Background) { b.Values = inference.AppendFloats(b.Values[:8:8], []float32{1}) }), nil},
	} {
		t.Run(name, func(t *testing.T) {
			d, m := after(c.last)
			damaged := c.want == nil && c.last.Model == kept.Model && c.last.Camera == kept.Camera
			if err := d.ResumeBackground(c.last); (err != nil) != damaged {
				t.Errorf("error %v", err)
			}
			now := time.Now()
			d.Decide(t.Context(), now, frameAt(now, 1), drivers.OK)
			if got := m.frames[0].Background; !slices.Equal(got, c.want) {
				t.Errorf("the first frame is compared with %v, want %v", got, c.want)
			}
		})
	}
}

// The picture that the last run knew without the hot spot stands still while what was resumed with
// it lasts. A suspicion does so while the window of the restarted agent is not full enough for a
// verdict.
func TestResumedBackgroundStandsStill(t *testing.T) {
	now := time.Now()
	for name, saved := range map[string]state.Saved{
		"during the alarm":     {State: state.Abnormal, Since: now, Seen: now, By: state.Model},
		"during the suspicion": {State: state.Normal, Since: now, Seen: now, Suspected: now},
	} {
		t.Run(name, func(t *testing.T) {
			d, m := after(Background{Model: "one", Camera: "here", Values: inference.AppendFloats(nil, []float32{0.25, 4})})
			d.params.Suspect = state.Suspect{MeanSeconds: 5, Enter: 0.8, Exit: 0.4, HoldSeconds: 5}
			d.Machine().SetParams(d.params)
			d.Machine().Resume(saved, now)
			at := now
			for n := range uint64(20) {
				at = at.Add(time.Second)
				d.Decide(t.Context(), at, frameAt(at, n+1), drivers.OK)
			}
			// The window's 16 frames allow a verdict, which ends the suspicion.
			held := m.frames
			if saved.State == state.Normal {
				held = m.frames[:10]
			}
			for i, f := range held {
				if !slices.Equal(f.Background, []float32{0.25, 4}) {
					t.Fatalf("frame %d is compared with %v", i, f.Background)
				}
			}
			last := d.Background()
			if last == nil || last.Model != "one" || last.Camera != "here" {
				t.Fatalf("the background to keep is %+v", last)
			}
			d.Machine().Acknowledge(at)
			for n := range uint64(3) {
				at = at.Add(time.Second)
				d.Decide(t.Context(), at, frameAt(at, n+30), drivers.OK)
			}
			if b := d.Background(); slices.Equal(b.Values, last.Values) {
				t.Error("the background stands still afterwards")
			}
		})
	}
}

// A further restart before the model is loaded loses nothing.
func TestBackgroundIsKeptUntilTheModelIsLoaded(t *testing.T) {
	kept := Background{Model: "one", Camera: "here", Values: inference.AppendFloats(nil, []float32{0.25, 4})}
	d, m := after(kept)
	loading := &unloaded{m, true}
	d.model = loading
	now := time.Now()
	d.Decide(t.Context(), now, frameAt(now, 1), drivers.OK)
	if b := d.Background(); b == nil || !slices.Equal(b.Values, kept.Values) {
		t.Fatalf("before the model is loaded, the background to keep is %+v", b)
	}
	loading.loading = false
	now = now.Add(time.Second)
	d.Decide(t.Context(), now, frameAt(now, 2), drivers.OK)
	if got := m.frames[len(m.frames)-1].Background; !slices.Equal(got, []float32{0.25, 4}) {
		t.Errorf("once it is loaded, a frame is compared with %v", got)
	}
}

// unloaded is a model that loads for a while.
type unloaded struct {
	*scripted
	loading bool
}

func (m *unloaded) Model() (inference.LoadReply, bool) {
	if m.loading {
		return inference.LoadReply{}, false
	}
	return m.scripted.Model()
}

func (m *unloaded) EncodeFrame(ctx context.Context, f inference.Frame) (inference.Encoded, error) {
	if m.loading {
		return inference.Encoded{}, errors.New("no model is loaded")
	}
	return m.scripted.EncodeFrame(ctx, f)
}

// A background that stands still is of the camera before, whatever the configuration says since.
func TestBackgroundTellsTheCameraThatItShows(t *testing.T) {
	d, _ := after(Background{Model: "one", Camera: "here", Values: inference.AppendFloats(nil, []float32{0.25, 4})})
	now := time.Now()
	d.Machine().Resume(state.Saved{State: state.Abnormal, Since: now, Seen: now, By: state.Model}, now)
	d.Decide(t.Context(), now, frameAt(now, 1), drivers.OK)
	d.Adopt(Settings{Params: d.params, Timeout: time.Second, Period: 500 * time.Millisecond, Camera: "there"})
	for n := range uint64(3) {
		now = now.Add(time.Second)
		d.Decide(t.Context(), now, frameAt(now, n+2), drivers.OK)
	}
	if b := d.Background(); b.Camera != "here" {
		t.Errorf("the frozen background is of %q", b.Camera)
	}
}

func TestWithoutAPictureNoBackgroundIsKept(t *testing.T) {
	d, _ := after(Background{})
	d.resumed = nil
	if b := d.Background(); b != nil {
		t.Errorf("%+v", b)
	}
}

// No file of the last run, however damaged, makes the model see values that are none.
func FuzzResumeBackground(f *testing.F) {
	f.Add("one", "here", inference.AppendFloats(nil, []float32{0.25, 4}))
	f.Add("one", "here", []byte{0, 0, 0xc0, 0x7f, 0, 0, 0, 0})
	f.Add("", "", []byte(nil))
	f.Fuzz(func(t *testing.T, model, camera string, values []byte) {
		d, m := after(Background{model, camera, values})
		now := time.Now()
		d.Decide(t.Context(), now, frameAt(now, 1), drivers.OK)
		got := m.frames[0].Background
		if len(got) != 0 && len(got) != 2 {
			t.Fatalf("a background of %d values", len(got))
		}
		for _, v := range got {
			if v := float64(v); math.IsNaN(v) || math.IsInf(v, 0) {
				t.Fatalf("background %v", got)
			}
		}
	})
}
