package inference

import (
	"context"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
)

// goodVector is a vector of encode_frame with zeros in every tensor.
func goodVector(m Manifest) GoldenVector {
	v := GoldenVector{Name: "dark", Signature: EncodeFrame, Inputs: map[string][]byte{}, Outputs: map[string][]byte{}}
	for name, tensor := range m.Signatures[EncodeFrame].Inputs {
		v.Inputs[name] = make([]byte, tensor.Bytes())
	}
	for name, tensor := range m.Signatures[EncodeFrame].Outputs {
		v.Outputs[name] = make([]byte, tensor.Bytes())
	}
	return v
}

func TestParseGolden(t *testing.T) {
	m := goodManifest()
	cases := map[string]struct {
		breakIt func(*GoldenVector)
		want    string
	}{
		"whole":              {func(*GoldenVector) {}, ""},
		"unknown signature":  {func(v *GoldenVector) { v.Signature = "train" }, `unknown signature "train"`},
		"short tensor":       {func(v *GoldenVector) { v.Inputs["frame"] = v.Inputs["frame"][1:] }, "frame has 89 bytes, must have 90"},
		"missing tensor":     {func(v *GoldenVector) { delete(v.Outputs, "tokens") }, "tokens has 0 bytes"},
		"tensor nobody asks": {func(v *GoldenVector) { v.Outputs["x"] = nil }, "4 tensors, must be 3"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			v := goodVector(m)
			c.breakIt(&v)
			data, err := json.Marshal(map[string]any{"vectors": []GoldenVector{v}})
			if err != nil {
				t.Fatal(err)
			}
			vectors, err := m.parseGolden(data)
			switch {
			case c.want == "" && (err != nil || len(vectors) != 1):
				t.Errorf("%d vectors, error %v", len(vectors), err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

// caller keeps the window that it is asked about.
type caller struct{ asked Window }

func (*caller) EncodeFrame(context.Context, Frame) (Encoded, error) { return Encoded{}, nil }

func (c *caller) Step(_ context.Context, w Window) (Outputs, error) {
	c.asked = w
	return Outputs{}, nil
}

// A vector's baseline reaches the model, and one without it gives none.
func TestVectorRunsWithItsBaseline(t *testing.T) {
	for name, c := range map[string]struct {
		inputs map[string][]byte
		want   []float32
	}{
		"with one":    {map[string][]byte{CurrentBaseline: AppendFloats(nil, []float32{1, 2, 3, 4})}, []float32{1, 2, 3, 4}},
		"without one": {map[string][]byte{}, nil},
	} {
		var model caller
		if _, err := (GoldenVector{Signature: Step, Inputs: c.inputs}).Run(t.Context(), &model); err != nil {
			t.Fatal(err)
		}
		if have := model.asked.CurrentBaseline; !slices.Equal(have, c.want) || (have == nil) != (c.want == nil) {
			t.Errorf("%s: the model is given %v, want %v", name, have, c.want)
		}
	}
}

func TestFloatsReadsWhatAppendFloatsWrote(t *testing.T) {
	want := []float32{0, 1.5, -2.25e-30, math.MaxFloat32}
	if have := Floats(AppendFloats(nil, want)); !slices.Equal(want, have) {
		t.Errorf("read %v, wrote %v", have, want)
	}
}

func FuzzParseGolden(f *testing.F) {
	m := goodManifest()
	data, err := json.Marshal(map[string]any{"vectors": []GoldenVector{goodVector(m)}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		vectors, err := m.parseGolden(data)
		if err != nil {
			return
		}
		for _, v := range vectors {
			if len(v.Inputs) != len(m.Signatures[v.Signature].Inputs) {
				t.Errorf("vector %q has %d inputs", v.Name, len(v.Inputs))
			}
		}
	})
}
