package inferencetest

import (
	"testing"

	"meltwatch/inference"
)

// The windows of vectors are known, also with a baseline; one without it is the window with zeros.
func TestWindowOfAVectorIsKnown(t *testing.T) {
	for _, folder := range []string{"fixture", "baseline"} {
		var g Golden
		var loaded inference.LoadReply
		if err := g.Load(inference.LoadRequest{Dir: "../tensorflow/testdata/" + folder}, &loaded); err != nil {
			t.Fatal(err)
		}
		for _, v := range g.vectors {
			if v.Signature != inference.Step {
				continue
			}
			floats := func(name string) []float32 { return inference.Floats(v.Inputs[name]) }
			w := inference.Window{
				Tokens: floats("tokens"), FrameMask: floats("frame_mask"), Current: floats("current"),
				SampleMask: floats("sample_mask"), SetPoint: floats("set_point")[0],
			}
			n := loaded.Manifest.CurrentBaselineSize()
			if n > 0 {
				w.CurrentBaseline = floats(inference.CurrentBaseline)
			}
			var outputs inference.Outputs
			if !g.Window(w, &outputs) || len(outputs[inference.CurrentBaseline]) != n {
				t.Errorf("%s: vector %s is not known, or its outputs %v lack the baseline", folder, v.Name, outputs)
			}
			if n == 0 {
				continue
			}
			w.CurrentBaseline = nil
			if g.Window(w, &outputs) {
				t.Errorf("%s: known without its baseline", folder)
			}
			v.Inputs[inference.CurrentBaseline] = make([]byte, 4*n)
			if !g.Window(w, &outputs) {
				t.Errorf("%s: zeros are another window than one without a baseline", folder)
			}
		}
	}
}
