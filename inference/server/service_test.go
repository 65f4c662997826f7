package server

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"net/rpc"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"meltwatch/inference"
)

const fixture = "../tensorflow/testdata/fixture"

// dial serves s on one end of a pipe, as package child does on a socket, and
// returns a client on the other.
func dial(t *testing.T, s *service) *rpc.Client {
	t.Helper()
	server := rpc.NewServer()
	if err := server.RegisterName("Model", s); err != nil {
		t.Fatal(err)
	}
	near, far := net.Pipe()
	served := make(chan struct{})
	go func() {
		defer close(served)
		server.ServeConn(far)
	}()
	client := rpc.NewClient(near)
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
		<-served
	})
	return client
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// fixtureFrame and fixtureWindow fit the fixture: 4 × 6 pixels, 3 frames, 8
// samples.
func fixtureFrame() inference.Frame { return inference.Frame{Pixels: make([]byte, 4*6*3)} }

func fixtureWindow() inference.Window {
	return inference.Window{
		Tokens:     make([]float32, 3*2*4),
		FrameMask:  []float32{1, 1, 1},
		Current:    make([]float32, 8*3),
		SampleMask: []float32{1, 1, 1, 1, 1, 1, 1, 1},
	}
}

func TestModelOverTheWire(t *testing.T) {
	s := &service{open: openTensorFlow, log: quiet()}
	client := dial(t, s)
	var loaded inference.LoadReply
	if err := client.Call("Model.Load", inference.LoadRequest{Dir: fixture}, &loaded); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.model.Close(); err != nil {
			t.Error(err)
		}
	})
	manifest, sum, err := inference.ReadManifest(fixture)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(inference.LoadReply{Manifest: manifest, SHA256: sum}, loaded); diff != "" {
		t.Errorf("reply (-want +have):\n%s", diff)
	}
	var encoded inference.Encoded
	if err := client.Call("Model.EncodeFrame", fixtureFrame(), &encoded); err != nil {
		t.Fatal(err)
	}
	if len(encoded.Tokens) != 8 || len(encoded.Background) != 24 || len(encoded.Evidence) != 6 {
		t.Errorf("%d tokens, %d of background, %d of evidence", len(encoded.Tokens), len(encoded.Background), len(encoded.Evidence))
	}
	var outputs inference.Outputs
	if err := client.Call("Model.Step", fixtureWindow(), &outputs); err != nil {
		t.Fatal(err)
	}
	if p := outputs[inference.PAbnormal]; len(p) != 1 || p[0] != 1 {
		t.Errorf("p_abnormal %v, want [1]", p)
	}
	// A window of another length is an error, and the process lives on.
	if err := client.Call("Model.Step", inference.Window{}, &outputs); err == nil || !strings.Contains(err.Error(), "check current") {
		t.Errorf("empty window: error %v", err)
	}
	if err := client.Call("Model.Step", fixtureWindow(), &outputs); err != nil {
		t.Errorf("the call after it: %v", err)
	}
}

func TestCallsBeforeLoadAreRefused(t *testing.T) {
	client := dial(t, &service{open: openTensorFlow, log: quiet()})
	for method, arg := range map[string]any{"Model.EncodeFrame": fixtureFrame(), "Model.Step": fixtureWindow()} {
		if err := client.Call(method, arg, nil); err == nil || err.Error() != errNotLoaded.Error() {
			t.Errorf("%s: error %v, want %v", method, err, errNotLoaded)
		}
	}
}

// stub is a model that counts and watches over its calls.
type stub struct {
	manifest inference.Manifest
	inside   atomic.Int32
	overlaps atomic.Int32
	calls    atomic.Int32
	closed   atomic.Int32
	fault    error
}

func (m *stub) Manifest() inference.Manifest { return m.manifest }
func (m *stub) SHA256() string               { return "" }
func (m *stub) Close() error                 { m.closed.Add(1); return nil }

func (m *stub) EncodeFrame(inference.Frame) (inference.Encoded, error) {
	m.enter()
	return inference.Encoded{}, m.fault
}

func (m *stub) Step(inference.Window) (inference.Outputs, error) {
	m.enter()
	return inference.Outputs{}, m.fault
}

func (m *stub) enter() {
	m.calls.Add(1)
	if m.inside.Add(1) > 1 {
		m.overlaps.Add(1)
	}
	m.inside.Add(-1)
}

// stubService serves models as they come and then refuses.
func stubService(t *testing.T, models ...*stub) *service {
	t.Helper()
	manifest, _, err := inference.ReadManifest(fixture)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range models {
		m.manifest = manifest
	}
	return &service{log: quiet(), open: func(string) (loadedModel, error) {
		if len(models) == 0 {
			return nil, errors.New("no such model")
		}
		next := models[0]
		models = models[1:]
		return next, nil
	}}
}

func load(t *testing.T, s *service) {
	t.Helper()
	if err := s.Load(inference.LoadRequest{}, &inference.LoadReply{}); err != nil {
		t.Fatal(err)
	}
}

func TestOneCallAtATime(t *testing.T) {
	model := &stub{}
	s := stubService(t, model)
	load(t, s)
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for range 200 {
				if err := s.Step(fixtureWindow(), new(inference.Outputs)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	callers.Wait()
	if n := model.overlaps.Load(); n != 0 {
		t.Errorf("%d calls overlapped", n)
	}
}

func TestARefusedModelLeavesTheOneBefore(t *testing.T) {
	first, second := &stub{}, &stub{}
	s := stubService(t, first, second)
	load(t, s)
	load(t, s)
	if first.closed.Load() != 1 {
		t.Error("the replaced model was not closed")
	}
	err := s.Load(inference.LoadRequest{}, &inference.LoadReply{})
	if err == nil || !strings.Contains(err.Error(), "load model: no such model") {
		t.Errorf("error %v", err)
	}
	if err := s.Step(fixtureWindow(), new(inference.Outputs)); err != nil || second.calls.Load() != 1 {
		t.Errorf("the model before did not answer: %v", err)
	}
}

func TestAFaultOfTheModelReachesTheCaller(t *testing.T) {
	s := stubService(t, &stub{fault: errors.New("check p_abnormal: value 0 is NaN")})
	load(t, s)
	if err := s.Step(fixtureWindow(), new(inference.Outputs)); err == nil {
		t.Error("no error from step")
	}
	if err := s.EncodeFrame(fixtureFrame(), &inference.Encoded{}); err == nil {
		t.Error("no error from encode_frame")
	}
}

func TestLoadIsLoggedOnce(t *testing.T) {
	var text bytes.Buffer
	s := stubService(t, &stub{})
	s.log = slog.New(slog.NewTextHandler(&text, nil))
	load(t, s)
	if err := s.Step(fixtureWindow(), new(inference.Outputs)); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(text.String(), "\n"); n != 1 {
		t.Errorf("%d lines, want 1:\n%s", n, &text)
	}
}
