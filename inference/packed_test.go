package inference

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"meltwatch/child"
)

// What a call carries arrives bit by bit, and nil stays nil: the first background is nil.
func TestTensorsArriveAsTheyWere(t *testing.T) {
	odd := []float32{0, 1, -1, math.MaxFloat32, math.SmallestNonzeroFloat32, float32(math.Copysign(0, -1)), 0.1}
	same(t, Frame{Pixels: []byte{1, 2, 255}, Background: odd})
	same(t, Frame{})
	same(t, Encoded{Tokens: odd, Background: []float32{}})
	same(t, Encoded{Tokens: odd, Background: odd[:1], Evidence: odd[:2]})
	same(t, Window{Tokens: odd, FrameMask: odd[:3], Current: odd[:2], SampleMask: odd[:1], SetPoint: 1e4})
	same(t, Window{Current: odd[:2], CurrentBaseline: odd[:4]})
	same(t, Window{CurrentBaseline: []float32{}})
}

// A window without a baseline is the same message as before there was one.
func TestWindowWithoutABaselineIsSentAsBefore(t *testing.T) {
	text, err := json.Marshal(Window{Current: []float32{1}, SetPoint: 2})
	want := `{"Tokens":null,"FrameMask":null,"Current":"AACAPw==","SampleMask":null,"SetPoint":2}`
	if err != nil || string(text) != want {
		t.Errorf("%s, %v; want %s", text, err, want)
	}
	var w Window
	if err := json.Unmarshal([]byte(want), &w); err != nil || w.CurrentBaseline != nil {
		t.Errorf("%v, baseline %v", err, w.CurrentBaseline)
	}
}

// Without a frame the tokens, most of a window, are not sent.
func TestWindowWithoutAFrameIsSentWithoutTokens(t *testing.T) {
	window := Window{Tokens: make([]float32, 4096), FrameMask: make([]float32, 16), Current: []float32{1}, SetPoint: 2}
	text, err := json.Marshal(window)
	if err != nil {
		t.Fatal(err)
	}
	var got Window
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if len(text) > 300 || got.Tokens != nil {
		t.Errorf("%d bytes with %d tokens, want the current and the masks", len(text), len(got.Tokens))
	}
	window.FrameMask[3] = 1
	same(t, window)
}

func same[T any](t *testing.T, want T) {
	t.Helper()
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got T
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%T (-want +have):\n%s", want, diff)
	}
}

// No number that is not finite passes between agent and child.
func TestNumbersThatAreNotFiniteAreRefused(t *testing.T) {
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		tensor := []float32{0, float32(bad)}
		for _, value := range []any{
			Frame{Background: tensor}, Encoded{Tokens: tensor}, Encoded{Evidence: tensor},
			Window{Current: tensor}, Window{SampleMask: tensor}, Window{SetPoint: float32(bad)},
			Window{CurrentBaseline: tensor},
		} {
			if text, err := json.Marshal(value); err == nil {
				t.Errorf("%v in %T was sent: %s", bad, value, text)
			}
		}
	}
	_, err := json.Marshal(Window{Current: []float32{float32(math.NaN())}})
	if err == nil || !strings.Contains(err.Error(), "tensor current holds NaN") {
		t.Errorf("error %v", err)
	}
}

// A model of the largest tensors that a manifest may name can be called: what is larger is
// refused before.
func TestTensorsFitIntoAMessage(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(*Manifest)
		want    string // empty: accepted
		outputs int    // further numbers of step
	}{
		"a picture":          {func(m *Manifest) { m.Video.Width, m.Video.Height = 1000, 1000 }, "", 0},
		"a large picture":    {func(m *Manifest) { m.Video.Width, m.Video.Height = 1100, 1100 }, "signatures.encode_frame.inputs: take a message of 4840", 0},
		"many tokens":        {func(m *Manifest) { m.Video.Tokens = 50_000 }, "signatures.step.inputs: take a message of 42", 0},
		"a long window":      {func(m *Manifest) { m.Current.Samples = 300_000 }, "signatures.step.inputs: take a message of", 0},
		"many outputs":       {func(*Manifest) {}, "signatures.step.outputs: take a message of 46000", 200_000},
		"some outputs":       {func(*Manifest) {}, "", 100_000},
		"a large background": {func(m *Manifest) { m.Video.Background = []int{1, 1000, 1000, 1} }, "signatures.encode_frame.outputs: take a message of 5333", 0},
	} {
		t.Run(name, func(t *testing.T) {
			m := goodManifest()
			c.change(&m)
			m.Signatures = m.requiredSignatures()
			if c.outputs > 0 {
				m.Signatures[Step].Outputs["more"] = Tensor{DType: "float32", Shape: []int{1, c.outputs}}
			}
			err := m.Check()
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "export a smaller model") {
					t.Errorf("error %v, want %q", err, c.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			v := m.Video
			for _, value := range []any{
				Frame{Pixels: make([]byte, 3*v.Width*v.Height), Background: make([]float32, 30)},
				Outputs{"more": slices.Repeat([]float32{-3.4028235e20}, c.outputs)},
				Encoded{Tokens: make([]float32, v.Tokens*v.Dim), Background: make([]float32, 30), Evidence: make([]float32, 6)},
			} {
				if text, err := json.Marshal(value); err != nil || len(text) > child.MaxBody {
					t.Errorf("%T: %d bytes, %v", value, len(text), err)
				}
			}
		})
	}
}

// A tensor that was cut, or that holds a number that is not finite, is refused.
func TestDamagedTensorsAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		`{"Tokens":"AAA="}`:              "tensor tokens of 2 bytes is not a whole number of float32",
		`{"Current":"AADAfw=="}`:         "tensor current holds NaN",
		`{"FrameMask":"AACA/w=="}`:       "tensor frame_mask holds -Inf",
		`{"CurrentBaseline":"AADAfw=="}`: "tensor current_baseline holds NaN",
		`{"SampleMask":7}`:               "cannot unmarshal number",
	} {
		var w Window
		if err := json.Unmarshal([]byte(text), &w); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", text, err, want)
		}
	}
}

// FuzzUnpack feeds what no honest peer sends: it must be refused or understood.
func FuzzUnpack(f *testing.F) {
	f.Add([]byte(`{"Tokens":"AACAPw=="}`))
	f.Add([]byte(`{"Tokens":"AAA="}`))
	f.Add([]byte(`{"Pixels":[1,2],"Background":"////fw=="}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var frame Frame
		var encoded Encoded
		var window Window
		for _, into := range []any{&frame, &encoded, &window} {
			if json.Unmarshal(text, into) == nil && 4*len(window.Tokens) > len(text) {
				t.Errorf("%d values from %d bytes", len(window.Tokens), len(text))
			}
		}
	})
}
