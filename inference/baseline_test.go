package inference

import (
	"strings"
	"testing"
)

// baselineManifest is the good manifest of a model with a baseline of the current.
func baselineManifest() Manifest {
	m := goodManifest()
	step := m.Signatures[Step]
	step.Inputs[CurrentBaseline] = Tensor{DType: "float32", Shape: []int{1, 4}}
	step.Outputs[CurrentBaseline] = Tensor{DType: "float32", Shape: []int{1, 4}}
	return m
}

func TestAManifestWithABaselineIsServed(t *testing.T) {
	for n, shape := range map[int][]int{1: {1, 1}, 4: {1, 4}, 7: {1, 7}} {
		m := baselineManifest()
		setBaseline(m, shape, shape)
		keepsWhatItSays(t, m)
		if size := m.CurrentBaselineSize(); size != n {
			t.Errorf("shape %v: %d values", shape, size)
		}
	}
	if size := goodManifest().CurrentBaselineSize(); size != 0 {
		t.Errorf("a model without one: %d values", size)
	}
}

func setBaseline(m Manifest, input, output []int) {
	m.Signatures[Step].Inputs[CurrentBaseline] = Tensor{DType: "float32", Shape: input}
	m.Signatures[Step].Outputs[CurrentBaseline] = Tensor{DType: "float32", Shape: output}
}

func TestBaselineThatDoesNotFitIsRefusedByItsKey(t *testing.T) {
	const input, output = "signatures.step.inputs.current_baseline", "signatures.step.outputs.current_baseline"
	for name, c := range map[string]struct {
		breakIt func(Manifest)
		want    string
	}{
		"taken, not returned": {func(m Manifest) { delete(m.Signatures[Step].Outputs, CurrentBaseline) }, output + ": is missing, although step takes it"},
		"returned, not taken": {func(m Manifest) { delete(m.Signatures[Step].Inputs, CurrentBaseline) }, input + ": is missing, although step returns it"},
		"of two shapes":       {func(m Manifest) { setBaseline(m, []int{1, 4}, []int{1, 3}) }, output + ".shape: is [1 3], the input has [1 4]"},
		"without a batch":     {func(m Manifest) { setBaseline(m, []int{4}, []int{4}) }, input + ".shape: is [4], must be [1 N]"},
		"a single number":     {func(m Manifest) { setBaseline(m, []int{1}, []int{1}) }, input + ".shape: is [1], must be [1 N]"},
		"a picture":           {func(m Manifest) { setBaseline(m, []int{1, 2, 2}, []int{1, 2, 2}) }, input + ".shape: is [1 2 2], must be [1 N]"},
		"of two furnaces":     {func(m Manifest) { setBaseline(m, []int{2, 4}, []int{2, 4}) }, input + ".shape: is [2 4], must be [1 N]"},
		"of nothing":          {func(m Manifest) { setBaseline(m, []int{1, 0}, []int{1, 0}) }, input + ".shape: is 0, must be 1 to"},
		"of open size":        {func(m Manifest) { setBaseline(m, []int{1, -1}, []int{1, -1}) }, input + ".shape: is -1, must be 1 to"},
		"taken in bytes": {func(m Manifest) {
			m.Signatures[Step].Inputs[CurrentBaseline] = Tensor{DType: "uint8", Shape: []int{1, 4}}
		}, input + `.dtype: is "uint8", must be "float32"`},
		"returned in bytes": {func(m Manifest) {
			m.Signatures[Step].Outputs[CurrentBaseline] = Tensor{DType: "uint8", Shape: []int{1, 4}}
		}, output + `.dtype: is "uint8", must be "float32"`},
		"taken with the frame": {func(m Manifest) {
			m.Signatures[EncodeFrame].Inputs[CurrentBaseline] = Tensor{DType: "float32", Shape: []int{1, 4}}
		}, "signatures.encode_frame.inputs.current_baseline: is an unknown tensor"},
	} {
		t.Run(name, func(t *testing.T) {
			m := baselineManifest()
			c.breakIt(m)
			if err := m.Check(); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), exportRemedy) {
				t.Errorf("fault %v lacks %q or the remedy", err, c.want)
			}
		})
	}
}
