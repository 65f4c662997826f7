package inference

import (
	"context"
	"fmt"
	"math"
)

// Caller runs a model's two functions, in this process or another.
type Caller interface {
	EncodeFrame(context.Context, Frame) (Encoded, error)
	Step(context.Context, Window) (Outputs, error)
}

// Run runs the vector's inputs through a model and returns its outputs by name.
func (v GoldenVector) Run(ctx context.Context, c Caller) (map[string][]float32, error) {
	floats := func(name string) []float32 { return Floats(v.Inputs[name]) }
	if v.Signature == EncodeFrame {
		out, err := c.EncodeFrame(ctx, Frame{Pixels: v.Inputs["frame"], Background: floats("background")})
		return map[string][]float32{"tokens": out.Tokens, "background": out.Background, Evidence: out.Evidence}, err
	}
	window := Window{Tokens: floats("tokens"), FrameMask: floats("frame_mask"), Current: floats("current"), SampleMask: floats("sample_mask")}
	if setPoint := floats("set_point"); len(setPoint) == 1 {
		window.SetPoint = setPoint[0]
	}
	if _, ok := v.Inputs[CurrentBaseline]; ok {
		window.CurrentBaseline = floats(CurrentBaseline)
	}
	return c.Step(ctx, window)
}

// Finite reports whether every input value is finite; pixels always are.
func (v GoldenVector) Finite() bool {
	for name, raw := range v.Inputs {
		if name == "frame" {
			continue
		}
		for _, value := range Floats(raw) {
			if math.IsNaN(float64(value)) || math.IsInf(float64(value), 0) {
				return false
			}
		}
	}
	return true
}

// Compare compares outputs with the vector's: every value must lie within tolerance, so
// NaN is an error.
func (v GoldenVector) Compare(have map[string][]float32, tolerance float64) error {
	for name, raw := range v.Outputs {
		want := Floats(raw)
		if len(have[name]) != len(want) {
			return fmt.Errorf("%s has %d values, the exporting machine got %d", name, len(have[name]), len(want))
		}
		for i := range want {
			if d := math.Abs(float64(have[name][i]) - float64(want[i])); !(d <= tolerance) {
				return fmt.Errorf("%s[%d] is %g, the exporting machine got %g; %g apart is allowed", name, i, have[name][i], want[i], tolerance)
			}
		}
	}
	return nil
}
