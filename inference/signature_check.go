package inference

import (
	"maps"
	"slices"

	"meltwatch/child"
)

// requiredSignatures are the two signatures that follow from the sections current and
// video. Step may have more outputs than PAbnormal.
func (m Manifest) requiredSignatures() map[string]Signature {
	c, v := m.Current, m.Video
	background := Tensor{DType: "float32", Shape: v.Background}
	float := func(shape ...int) Tensor { return Tensor{DType: "float32", Shape: append([]int{1}, shape...)} }
	encode := Signature{
		Inputs: map[string]Tensor{
			"frame":      {DType: "uint8", Shape: []int{1, v.Height, v.Width, 3}},
			"background": background,
		},
		Outputs: map[string]Tensor{"tokens": float(v.Tokens, v.Dim), "background": background},
	}
	if v.EvidenceRows > 0 {
		encode.Outputs[Evidence] = float(v.EvidenceRows, v.EvidenceColumns)
	}
	step := Signature{
		Inputs: map[string]Tensor{
			"tokens":      float(v.Frames, v.Tokens, v.Dim),
			"frame_mask":  float(v.Frames),
			"current":     float(c.Samples, c.Phases),
			"sample_mask": float(c.Samples),
			"set_point":   float(1),
		},
		Outputs: map[string]Tensor{PAbnormal: float(1)},
	}
	return map[string]Signature{EncodeFrame: encode, Step: step}
}

// optionalOutputs are the shapes of Step's optional outputs that the agent understands.
func (m Manifest) optionalOutputs() map[string]Tensor {
	known := map[string]Tensor{
		PCurrent:    {DType: "float32", Shape: []int{1, 1}},
		PVideo:      {DType: "float32", Shape: []int{1, 1}},
		Alignment:   {DType: "float32", Shape: []int{1, 1}},
		FrameWeight: {DType: "float32", Shape: []int{1, m.Video.Frames}},
		Surprise:    {DType: "float32", Shape: []int{1, 1}},

		FamiliarityCurrent: {DType: "float32", Shape: []int{1, 1}},
		FamiliarityVideo:   {DType: "float32", Shape: []int{1, 1}},
	}
	if m.Offset != nil {
		known[LocalLoss] = Tensor{DType: "float32", Shape: []int{1, len(m.Offset.ShiftsS)}}
	}
	return known
}

func (m Manifest) checkSignatures(f *faults) {
	for name, want := range m.requiredSignatures() {
		key := "signatures." + name
		have, ok := m.Signatures[name]
		if !ok {
			f.add(key, "is missing; %s", exportRemedy)
			continue
		}
		if name == Step {
			if baseline, ok := have.Inputs[CurrentBaseline]; ok {
				want.Inputs[CurrentBaseline] = Tensor{DType: "float32", Shape: baseline.Shape}
			}
			want.Outputs = m.withOptional(want.Outputs, have.Outputs)
			checkBaseline(f, have)
		}
		checkTensors(f, key+".inputs", have.Inputs, want.Inputs)
		checkTensors(f, key+".outputs", have.Outputs, want.Outputs)
	}
	if m.Decision.FreezeAlone > 0 {
		for _, name := range []string{PCurrent, PVideo} {
			if _, ok := m.Signatures[Step].Outputs[name]; !ok {
				f.add("decision.freeze_alone", "needs the output %s of step, which is missing; %s", name, exportRemedy)
			}
		}
	}
	for name := range m.Signatures {
		if name != EncodeFrame && name != Step {
			f.add("signatures."+name, "is an unknown function; %s", exportRemedy)
		}
	}
}

// checkBaseline checks that step takes the CurrentBaseline that it returns: the caller only passes it
// on.
func checkBaseline(f *faults, step Signature) {
	const input, output = "signatures.step.inputs." + CurrentBaseline, "signatures.step.outputs." + CurrentBaseline
	in, taken := step.Inputs[CurrentBaseline]
	out, returned := step.Outputs[CurrentBaseline]
	switch {
	case !taken && !returned:
	case !taken:
		f.add(input, "is missing, although step returns it; %s", exportRemedy)
	case !returned:
		f.add(output, "is missing, although step takes it; %s", exportRemedy)
	case len(in.Shape) != 2 || in.Shape[0] != 1:
		f.add(input+".shape", "is %v, must be [1 N]; %s", in.Shape, exportRemedy)
	case !slices.Equal(out.Shape, in.Shape):
		f.add(output+".shape", "is %v, the input has %v; %s", out.Shape, in.Shape, exportRemedy)
	}
}

// withOptional adds Step's optional outputs to the required ones: those that the agent
// knows, with their shape, and others with any float32 shape.
func (m Manifest) withOptional(want, have map[string]Tensor) map[string]Tensor {
	all := maps.Clone(want)
	for name, tensor := range have {
		if _, required := want[name]; required {
			continue
		}
		if known, ok := m.optionalOutputs()[name]; ok {
			all[name] = known
		} else {
			all[name] = Tensor{DType: "float32", Shape: tensor.Shape}
		}
	}
	return all
}

func checkTensors(f *faults, key string, have, want map[string]Tensor) {
	for name, w := range want {
		h, ok := have[name]
		switch {
		case !ok:
			f.add(key+"."+name, "is missing; %s", exportRemedy)
		case h.DType != w.DType:
			f.add(key+"."+name+".dtype", "is %q, must be %q; %s", h.DType, w.DType, exportRemedy)
		case !slices.Equal(h.Shape, w.Shape):
			f.add(key+"."+name+".shape", "is %v, the sections current and video ask for %v; %s", h.Shape, w.Shape, exportRemedy)
		default:
			checkShape(f, key+"."+name+".shape", h.Shape)
		}
	}
	for name := range have {
		if _, ok := want[name]; !ok {
			f.add(key+"."+name, "is an unknown tensor; %s", exportRemedy)
		}
	}
}

// checkMessages requires that what a call takes and gives fits into one message to the child:
// packed tensors, or the numbers of Outputs as JSON.
func (m Manifest) checkMessages(f *faults) {
	packed := func(t Tensor) int { return (t.Bytes() + 2) / 3 * 4 }
	numbers := func(t Tensor) int { return len("-340282350000000000000,") * t.Elements() }
	for _, call := range []struct {
		key     string
		tensors map[string]Tensor
		size    func(Tensor) int
	}{
		{"signatures.encode_frame.inputs", m.Signatures[EncodeFrame].Inputs, packed},
		{"signatures.encode_frame.outputs", m.Signatures[EncodeFrame].Outputs, packed},
		{"signatures.step.inputs", m.Signatures[Step].Inputs, packed},
		{"signatures.step.outputs", m.Signatures[Step].Outputs, numbers},
	} {
		size := 0
		for name, tensor := range call.tensors {
			size += call.size(tensor) + len(name) + len(`"":"",`)
		}
		if size > child.MaxBody {
			f.add(call.key, "take a message of %d bytes, agent and model's process exchange %d at most; export a smaller model", size, child.MaxBody)
		}
	}
}

func checkShape(f *faults, key string, shape []int) {
	for _, n := range shape {
		f.size(key, n)
	}
	f.product(key, shape...)
}
