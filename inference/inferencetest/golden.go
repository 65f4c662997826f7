// Package inferencetest stands in for the model in tests of what surrounds it. To load
// TensorFlow and a model takes seconds of a processor.
package inferencetest

import (
	"bytes"

	"meltwatch/inference"
)

// Golden is the receiver of a model child that answers with the golden vectors in the model's
// folder.
type Golden struct {
	// Manifest is that of the loaded model.
	Manifest inference.Manifest
	vectors  []inference.GoldenVector
}

// Load reads the manifest and the vectors.
func (g *Golden) Load(request inference.LoadRequest, reply *inference.LoadReply) (err error) {
	if g.Manifest, reply.SHA256, err = inference.ReadManifest(request.Dir); err != nil {
		return err
	}
	reply.Manifest = g.Manifest
	g.vectors, err = g.Manifest.ReadGolden(request.Dir)
	return err
}

// EncodeFrame answers as Frame does.
func (g *Golden) EncodeFrame(f inference.Frame, reply *inference.Encoded) error {
	g.Frame(f, reply)
	return nil
}

// Step answers as Window does.
func (g *Golden) Step(w inference.Window, reply *inference.Outputs) error {
	g.Window(w, reply)
	return nil
}

// Frame gives the outputs for the frame of a vector, or else those of some vector.
func (g *Golden) Frame(f inference.Frame, reply *inference.Encoded) {
	v, _ := g.vector(inference.EncodeFrame, map[string][]byte{"frame": f.Pixels, "background": inference.AppendFloats(nil, f.Background)})
	reply.Tokens, reply.Background = inference.Floats(v.Outputs["tokens"]), inference.Floats(v.Outputs["background"])
	reply.Evidence = inference.Floats(v.Outputs[inference.Evidence])
}

// Window gives the outputs for the window of a vector, or else those of some vector; known
// tells which.
func (g *Golden) Window(w inference.Window, reply *inference.Outputs) (known bool) {
	inputs := map[string][]byte{
		"frame_mask": inference.AppendFloats(nil, w.FrameMask),
		"current":    inference.AppendFloats(nil, w.Current), "sample_mask": inference.AppendFloats(nil, w.SampleMask),
		"set_point": inference.AppendFloats(nil, []float32{w.SetPoint}),
	}
	if w.Tokens != nil { // otherwise they do not matter
		inputs["tokens"] = inference.AppendFloats(nil, w.Tokens)
	}
	if n := g.Manifest.CurrentBaselineSize(); n > 0 {
		baseline := w.CurrentBaseline
		if baseline == nil {
			baseline = make([]float32, n)
		}
		inputs[inference.CurrentBaseline] = inference.AppendFloats(nil, baseline)
	}
	v, known := g.vector(inference.Step, inputs)
	*reply = inference.Outputs{}
	for name, raw := range v.Outputs {
		(*reply)[name] = inference.Floats(raw)
	}
	return known
}

// vector returns the vector that has these inputs, or any vector of the signature.
func (g *Golden) vector(signature string, inputs map[string][]byte) (found inference.GoldenVector, known bool) {
	for _, v := range g.vectors {
		if v.Signature != signature {
			continue
		}
		found, known = v, true
		for name, input := range inputs {
			known = known && bytes.Equal(v.Inputs[name], input)
		}
		if known {
			return v, true
		}
	}
	return found, false
}
