package inference

import (
	"math"
	"strings"
	"testing"
)

func TestCheckFrame(t *testing.T) {
	m := goodManifest()
	good := func() Frame {
		return Frame{Pixels: make([]byte, 90), Background: make([]float32, 30)}
	}
	cases := map[string]struct {
		breakIt func(*Frame)
		want    string
	}{
		"whole":                 {func(*Frame) {}, ""},
		"no background yet":     {func(f *Frame) { f.Background = nil }, ""},
		"short pixels":          {func(f *Frame) { f.Pixels = f.Pixels[:3] }, "3 bytes of pixels, the model takes 90"},
		"long background":       {func(f *Frame) { f.Background = make([]float32, 31) }, "background: 31 values"},
		"background of nothing": {func(f *Frame) { f.Background[4] = float32(math.NaN()) }, "background: value 4 is NaN"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			frame := good()
			c.breakIt(&frame)
			expect(t, m.CheckFrame(frame), c.want)
		})
	}
}

func TestCheckWindow(t *testing.T) {
	m := goodManifest()
	good := func() Window {
		return Window{
			Tokens:     make([]float32, 2*4*8),
			FrameMask:  make([]float32, 2),
			Current:    make([]float32, 4*3),
			SampleMask: make([]float32, 4),
		}
	}
	infinite := float32(math.Inf(1))
	cases := map[string]struct {
		breakIt func(*Window)
		want    string
	}{
		"whole":               {func(*Window) {}, ""},
		"empty":               {func(w *Window) { *w = Window{} }, "current: 0 values, the model takes 12"},
		"short tokens":        {func(w *Window) { w.Tokens = w.Tokens[1:] }, "tokens: 63 values, the model takes 64"},
		"no tokens, no frame": {func(w *Window) { w.Tokens, w.FrameMask = nil, make([]float32, len(w.FrameMask)) }, ""},
		"no tokens, a frame":  {func(w *Window) { w.Tokens = nil; w.FrameMask[0] = 1 }, "tokens: 0 values, the model takes 64"},
		"long frame mask":     {func(w *Window) { w.FrameMask = make([]float32, 3) }, "frame_mask: 3 values"},
		"short sample mask":   {func(w *Window) { w.SampleMask = nil }, "sample_mask: 0 values"},
		"infinite set-point":  {func(w *Window) { w.SetPoint = infinite }, "set_point: value 0 is +Inf"},
		"infinite token":      {func(w *Window) { w.Tokens[7] = infinite }, "tokens: value 7"},
		"no-number current":   {func(w *Window) { w.Current[0] = float32(math.NaN()) }, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			window := good()
			c.breakIt(&window)
			expect(t, m.CheckWindow(window), c.want)
		})
	}
	for name, c := range map[string]struct {
		m        Manifest
		baseline []float32
		want     string
	}{
		"no baseline yet":            {baselineManifest(), nil, ""},
		"baseline":                   {baselineManifest(), []float32{0, 1, 2, 3}, ""},
		"short baseline":             {baselineManifest(), []float32{0, 1, 2}, "current_baseline: 3 values, the model takes 4"},
		"empty baseline":             {baselineManifest(), []float32{}, "current_baseline: 0 values, the model takes 4"},
		"infinite baseline":          {baselineManifest(), []float32{0, 1, infinite, 3}, "current_baseline: value 2 is +Inf"},
		"baseline for another model": {m, []float32{0}, "current_baseline: 1 values, the model takes 0"},
		"no baseline, as before":     {m, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			window := good()
			window.CurrentBaseline = c.baseline
			expect(t, c.m.CheckWindow(window), c.want)
		})
	}
}

func expect(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("refused: %v", err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("error %v, want %q", err, want)
	}
}
