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

// Under the name of the inference child the test binary is one, and ill. Which
// illness it has stands in the name of the model that it is asked to load: the
// product's own is answered with what is no number, from the first call on.
func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "meltwatch-infer":
	case underFilter:
		runUnderFilter(os.Args[1:])
	default:
		os.Exit(m.Run())
	}
	service := child.Service{Name: "Model", Version: inference.ChildVersion, Receiver: &illModel{}}
	if err := child.Serve(context.Background(), service); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// illModel answers golden vectors with what they hold, so that it passes them,
// and shows its illness in later steps.
type illModel struct {
	manifest inference.Manifest
	vectors  []inference.GoldenVector
	steps    int
	leaked   [][]byte
}

func (m *illModel) Load(request inference.LoadRequest, reply *inference.LoadReply) (err error) {
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

func (m *illModel) EncodeFrame(f inference.Frame, reply *inference.Encoded) error {
	if m.manifest.Name == "product" {
		reply.Tokens = []float32{float32(math.NaN())}
		return nil
	}
	m.beIll("slow")
	v, _ := m.golden(inference.EncodeFrame, map[string][]byte{"frame": f.Pixels, "background": inference.AppendFloats(nil, f.Background)})
	reply.Tokens, reply.Background = inference.Floats(v.Outputs["tokens"]), inference.Floats(v.Outputs["background"])
	reply.Evidence = inference.Floats(v.Outputs[inference.Evidence])
	return nil
}

func (m *illModel) Step(w inference.Window, reply *inference.Outputs) error {
	*reply = inference.Outputs{}
	if m.manifest.Name == "product" {
		*reply = inference.Outputs{inference.PAbnormal: {float32(math.NaN())}}
		return nil
	}
	m.beIll("slow")
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
	m.beIll("later")
	return nil
}

func (m *illModel) beIll(when string) {
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

// golden is the vector with these inputs, or else any of the signature.
func (m *illModel) golden(signature string, inputs map[string][]byte) (found inference.GoldenVector, known bool) {
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
