// Package tensorflow runs an exported model through TensorFlow's C library.
//
// A model folder holds a SavedModel whose variables are constants, its manifest
// and golden vectors. Open refuses, with the reason and the remedy, a folder
// that is not exactly what the manifest says: every file by its hash, every
// tensor by name, type and shape. Only then does the library see a byte of it,
// because TensorFlow may end the process on invalid input. For the same
// reason every input's length is checked before a call.
//
// One thread runs a session: at this size (about 0.3 M parameters) handing work
// to another thread costs more than it saves.
//
// TensorFlow never gives memory back inside a process; the program around this
// package is therefore a child that can be replaced. Tensors live outside Go's
// heap and are freed by finalizers, so the collector, which cannot see their
// size, is run every collectEvery calls.
package tensorflow

import (
	"errors"
	"fmt"
	"runtime"

	tf "github.com/tensorflow/tensorflow/tensorflow/go"

	"meltwatch/inference"
)

// collectEvery bounds the memory that waits for a finalizer: calls × about 60 KB for a
// 64 × 64 frame with its background in and out, so 4 MB.
const collectEvery = 64

// Model is a loaded SavedModel. It is not safe for concurrent use.
type Model struct {
	manifest inference.Manifest
	sha256   string
	session  *tf.Session
	encode   *function
	step     *function
	// noTokens are the tokens of a window without a frame, all 0.
	noTokens []float32
	// initialBackground is the background of a first frame, all -1.
	initialBackground []float32
	// initialBaseline is the current's baseline of a first window, all 0; nil for a model
	// without it.
	initialBaseline []float32
	calls           int
}

var _ inference.Model = (*Model)(nil)

// Open loads the model in a folder, checks it whole, and runs both functions
// once, since the first run of a graph takes a hundred times longer.
func Open(dir string) (*Model, error) {
	manifest, sum, err := inference.ReadManifest(dir)
	if err != nil {
		return nil, err
	}
	if err := manifest.VerifyFiles(dir); err != nil {
		return nil, err
	}
	saved, err := tf.LoadSavedModel(dir, []string{"serve"}, &tf.SessionOptions{Config: []byte(oneThread)})
	if err != nil {
		return nil, fmt.Errorf("load SavedModel in %s: %w; export it with the pinned TensorFlow release", dir, err)
	}
	m := &Model{manifest: manifest, sha256: sum, session: saved.Session}
	if err := m.prepare(saved); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", dir, err), m.Close())
	}
	return m, nil
}

// oneThread is a serialised tensorflow.ConfigProto: intra_op_parallelism_threads
// (field 2) = 1, inter_op_parallelism_threads (field 5) = 1 and, in experimental
// (field 16), executor_type (field 3). That executor walks the graph in an order
// fixed once, where the usual one counts what each node still waits for: a quarter
// less time with graphs of small nodes as ours.
const (
	executor  = "\x1a\x18SINGLE_THREADED_EXECUTOR"
	oneThread = "\x10\x01" + "\x28\x01" + "\x82\x01\x1a" + executor
)

func (m *Model) prepare(saved *tf.SavedModel) error {
	var err error
	if m.encode, err = newFunction(saved, inference.EncodeFrame, m.manifest); err != nil {
		return err
	}
	if m.step, err = newFunction(saved, inference.Step, m.manifest); err != nil {
		return err
	}
	encode := m.manifest.Signatures[inference.EncodeFrame].Inputs
	m.noTokens = make([]float32, m.manifest.Signatures[inference.Step].Inputs["tokens"].Elements())
	m.initialBackground = make([]float32, encode["background"].Elements())
	for i := range m.initialBackground {
		m.initialBackground[i] = -1
	}
	if n := m.manifest.CurrentBaselineSize(); n > 0 {
		m.initialBaseline = make([]float32, n)
	}
	if err := m.warmUp(); err != nil {
		return fmt.Errorf("warm up: %w", err)
	}
	return nil
}

// warmUp runs both functions on a black frame and an empty window, which a
// model must survive anyway.
func (m *Model) warmUp() error {
	encode := m.manifest.Signatures[inference.EncodeFrame].Inputs
	if _, err := m.EncodeFrame(inference.Frame{Pixels: make([]byte, encode["frame"].Elements())}); err != nil {
		return err
	}
	step := m.manifest.Signatures[inference.Step].Inputs
	_, err := m.Step(inference.Window{
		Tokens:     make([]float32, step["tokens"].Elements()),
		FrameMask:  make([]float32, step["frame_mask"].Elements()),
		Current:    make([]float32, step["current"].Elements()),
		SampleMask: make([]float32, step["sample_mask"].Elements()),
	})
	return err
}

// Manifest is the loaded model's.
func (m *Model) Manifest() inference.Manifest { return m.manifest }

// SHA256 is the hash of manifest.json, in hexadecimal.
func (m *Model) SHA256() string { return m.sha256 }

// EncodeFrame turns a frame into tokens.
func (m *Model) EncodeFrame(frame inference.Frame) (inference.Encoded, error) {
	if err := m.manifest.CheckFrame(frame); err != nil {
		return inference.Encoded{}, err
	}
	background := frame.Background
	if background == nil {
		background = m.initialBackground
	}
	out, err := m.run(m.encode, map[string]input{
		"frame":      {bytes: frame.Pixels},
		"background": {floats: background},
	})
	if err != nil {
		return inference.Encoded{}, err
	}
	return inference.Encoded{
		Tokens:     out["tokens"],
		Background: out["background"],
		Evidence:   out[inference.Evidence],
	}, nil
}

// Step runs the function step on a window.
func (m *Model) Step(w inference.Window) (inference.Outputs, error) {
	if err := m.manifest.CheckWindow(w); err != nil {
		return nil, err
	}
	inputs := map[string]input{
		"tokens":      {floats: w.Tokens},
		"frame_mask":  {floats: w.FrameMask},
		"current":     {floats: w.Current},
		"sample_mask": {floats: w.SampleMask},
		"set_point":   {floats: []float32{w.SetPoint}},
	}
	if w.Tokens == nil {
		inputs["tokens"] = input{floats: m.noTokens}
	}
	switch {
	case m.initialBaseline == nil:
	case w.CurrentBaseline == nil:
		inputs[inference.CurrentBaseline] = input{floats: m.initialBaseline}
	default:
		inputs[inference.CurrentBaseline] = input{floats: w.CurrentBaseline}
	}
	return m.run(m.step, inputs)
}

func (m *Model) run(f *function, inputs map[string]input) (map[string][]float32, error) {
	if m.calls++; m.calls%collectEvery == 0 {
		defer runtime.GC()
	}
	return f.run(m.session, inputs)
}

// Close frees the session; calls after it are errors.
func (m *Model) Close() error {
	if err := m.session.Close(); err != nil {
		return fmt.Errorf("close session: %w", err)
	}
	return nil
}
