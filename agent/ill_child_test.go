package agent

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"meltwatch/child"
	"meltwatch/inference"
	"meltwatch/inference/inferencetest"
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
	golden inferencetest.Golden
	steps  int
	leaked [][]byte
}

func (m *faultyModel) Load(request inference.LoadRequest, reply *inference.LoadReply) error {
	if err := m.golden.Load(request, reply); err != nil {
		return err
	}
	switch m.golden.Manifest.Name {
	case "crashes at load":
		os.Exit(3)
	case "refuses to load":
		return fmt.Errorf("a scripted refusal")
	}
	return nil
}

func (m *faultyModel) EncodeFrame(f inference.Frame, reply *inference.Encoded) error {
	if m.golden.Manifest.Name == "product" {
		reply.Tokens = []float32{float32(math.NaN())}
		return nil
	}
	m.fail("slow")
	m.golden.Frame(f, reply)
	return nil
}

func (m *faultyModel) Step(w inference.Window, reply *inference.Outputs) error {
	*reply = inference.Outputs{}
	if m.golden.Manifest.Name == "product" {
		*reply = inference.Outputs{inference.PAbnormal: {float32(math.NaN())}}
		return nil
	}
	m.fail("slow")
	if m.golden.Window(w, reply) {
		return nil
	}
	if m.steps++; m.steps <= 3 {
		return nil // the first seconds
	}
	if m.golden.Manifest.Name == "returns NaN" {
		(*reply)[inference.PAbnormal] = []float32{float32(math.NaN())}
	}
	m.fail("later")
	return nil
}

func (m *faultyModel) fail(when string) {
	switch when + " " + m.golden.Manifest.Name {
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
