package agent

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"meltwatch/child"
	"meltwatch/inference"
)

// Under the name of the inference child, the test binary is a faulty one. The name of
// the loaded model selects the fault; for the product's model every answer is NaN.
func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "meltwatch-infer":
	case underFilter:
		runUnderFilter(os.Args[1:])
	default:
		os.Exit(m.Run())
	}
	service := child.Service{Name: "Model", Version: inference.ChildVersion, Receiver: &faultyModel{}}
	if err := child.Serve(context.Background(), service); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// faultyModel answers golden vectors correctly, and has its fault in later steps.
type faultyModel struct {
	manifest inference.Manifest
	vectors  []inference.GoldenVector
	steps    int
	leaked   [][]byte
}

func (m *faultyModel) Load(request inference.LoadRequest, reply *inference.LoadReply) (err error) {
	if m.manifest, reply.SHA256, err = inference.ReadManifest(request.Dir); err != nil {
		return err
	}
	switch m.manifest.Name {
	case "crashes at load":
		os.Exit(3)
	case "refuses to load":
		return fmt.Errorf("a scripted refusal")
	}
	reply.Manifest = m.manifest
	m.vectors, err = m.manifest.ReadGolden(request.Dir)
	return err
}

func (m *faultyModel) EncodeFrame(f inference.Frame, reply *inference.Encoded) error {
	if m.manifest.Name == "product" {
		reply.Tokens = []float32{float32(math.NaN())}
		return nil
	}
	m.fail("slow")
	v, _ := m.golden(inference.EncodeFrame, map[string][]byte{"frame": f.Pixels, "background": inference.AppendFloats(nil, f.Background)})
	reply.Tokens, reply.Background = inference.Floats(v.Outputs["tokens"]), inference.Floats(v.Outputs["background"])
	reply.Evidence = inference.Floats(v.Outputs[inference.Evidence])
	return nil
}

func (m *faultyModel) Step(w inference.Window, reply *inference.Outputs) error {
	*reply = inference.Outputs{}
	if m.manifest.Name == "product" {
		*reply = inference.Outputs{inference.PAbnormal: {float32(math.NaN())}}
		return nil
	}
	m.fail("slow")
	v, known := m.golden(inference.Step, map[string][]byte{
		"tokens": inference.AppendFloats(nil, w.Tokens), "frame_mask": inference.AppendFloats(nil, w.FrameMask),
		"current": inference.AppendFloats(nil, w.Current), "sample_mask": inference.AppendFloats(nil, w.SampleMask),
		"set_point": inference.AppendFloats(nil, []float32{w.SetPoint}),
	})
	for name, raw := range v.Outputs {
		(*reply)[name] = inference.Floats(raw)
	}
	if known {
		return nil
	}
	if m.steps++; m.steps <= 3 {
		return nil // the first seconds
	}
	if m.manifest.Name == "returns NaN" {
		(*reply)[inference.PAbnormal] = []float32{float32(math.NaN())}
	}
	m.fail("later")
	return nil
}

func (m *faultyModel) fail(when string) {
	switch when + " " + m.manifest.Name {
	case "slow is slow":
		time.Sleep(850 * time.Millisecond)
	case "later crashes":
		os.Exit(3)
	case "later sleeps":
		time.Sleep(time.Minute)
	case "later leaks":
		m.leaked = append(m.leaked, bytes.Repeat([]byte{1}, 100<<20))
	}
}

// golden returns the vector with these inputs, or any vector of the signature.
func (m *faultyModel) golden(signature string, inputs map[string][]byte) (found inference.GoldenVector, known bool) {
	for _, v := range m.vectors {
		if v.Signature != signature {
			continue
		}
		found = v
		if maps.EqualFunc(v.Inputs, inputs, bytes.Equal) {
			return v, true
		}
	}
	return found, false
}
