package tensorflow

import (
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"testing"

	"meltwatch/inference"
)

// product is the committed model.
const product = "../models/product"

var dump = flag.String("dump", "", "write the product's answers to its golden vectors to this `file`, for comparison with Python")

// TestGolden holds the library on this machine against the answers that the
// exporting machine stored.
func TestGolden(t *testing.T) {
	cases := map[string]struct {
		dir   string
		least int
	}{
		"fixture":  {fixture, 3},
		"baseline": {baseline, 3},
		"product":  {product, 20},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := os.Stat(filepath.Join(c.dir, inference.ManifestFile)); errors.Is(err, fs.ErrNotExist) {
				if os.Getenv("CI") == "true" {
					t.Fatalf("no model in %s, where one is committed", c.dir)
				}
				t.Skipf("no model in %s; train and export one with make train", c.dir)
			}
			m := openFixture(t, c.dir)
			vectors, err := m.Manifest().ReadGolden(c.dir)
			if err != nil {
				t.Fatal(err)
			}
			if len(vectors) < c.least {
				t.Errorf("%d vectors, want at least %d", len(vectors), c.least)
			}
			answers := make([]inference.GoldenVector, 0, len(vectors))
			for _, v := range vectors {
				answers = append(answers, compare(t, m, v))
			}
			if c.dir == product && *dump != "" {
				writeVectors(t, *dump, answers)
			}
		})
	}
}

// compare runs a vector and returns it with the outputs of this machine.
func compare(t *testing.T, m *Model, v inference.GoldenVector) inference.GoldenVector {
	t.Helper()
	have := call(t, m, v)
	tolerance := m.Manifest().Golden.Tolerance
	outputs := make(map[string][]byte, len(have))
	for name, raw := range v.Outputs {
		want := inference.Floats(raw)
		if len(have[name]) != len(want) {
			t.Fatalf("%s: %s has %d values, want %d", v.Name, name, len(have[name]), len(want))
		}
		for i := range want {
			if d := math.Abs(float64(have[name][i] - want[i])); d > tolerance {
				t.Errorf("%s: %s[%d] = %g, want %g, off by %g", v.Name, name, i, have[name][i], want[i], d)
				break
			}
		}
		outputs[name] = inference.AppendFloats(nil, have[name])
	}
	v.Outputs = outputs
	return v
}

// call runs a vector through the Model interface, as the agent does.
func call(t *testing.T, m *Model, v inference.GoldenVector) map[string][]float32 {
	t.Helper()
	floats := func(name string) []float32 { return inference.Floats(v.Inputs[name]) }
	if v.Signature == inference.EncodeFrame {
		out, err := m.EncodeFrame(inference.Frame{Pixels: v.Inputs["frame"], Background: floats("background")})
		if err != nil {
			t.Fatalf("%s: %v", v.Name, err)
		}
		return map[string][]float32{"tokens": out.Tokens, "background": out.Background, inference.Evidence: out.Evidence}
	}
	w := inference.Window{
		Tokens:     floats("tokens"),
		FrameMask:  floats("frame_mask"),
		Current:    floats("current"),
		SampleMask: floats("sample_mask"),
		SetPoint:   floats("set_point")[0],
	}
	if _, ok := v.Inputs[inference.CurrentBaseline]; ok {
		w.CurrentBaseline = floats(inference.CurrentBaseline)
	}
	out, err := m.Step(w)
	if err != nil {
		t.Fatalf("%s: %v", v.Name, err)
	}
	return out
}

func writeVectors(t *testing.T, path string, vectors []inference.GoldenVector) {
	t.Helper()
	data, err := json.Marshal(map[string]any{"vectors": vectors})
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, data)
}
