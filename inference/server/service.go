// Package server is the model child's service: it answers the agent's calls
// Model.Load, Model.EncodeFrame and Model.Step (package inference says what they
// take) with TensorFlow. It holds no state besides the loaded model, so the agent may
// kill and restart the child at any time and lose nothing but the call in flight. The
// child ends when the agent does.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"meltwatch/child"
	"meltwatch/inference"
	"meltwatch/inference/tensorflow"
)

// Serve answers the agent that started this process. It returns when the agent is
// gone or ctx ends.
func Serve(ctx context.Context, log *slog.Logger) error {
	return child.Serve(ctx, child.Service{
		Name:     "Model",
		Version:  inference.ChildVersion,
		Receiver: &service{open: openTensorFlow, giveBack: tensorflow.GiveBack, log: log},
	})
}

func openTensorFlow(dir string) (loadedModel, error) {
	model, err := tensorflow.Open(dir)
	if err != nil {
		return nil, err
	}
	return model, nil
}

// loadedModel is a model with the content of LoadReply.
type loadedModel interface {
	inference.Model
	Manifest() inference.Manifest
	SHA256() string
}

// opener opens the model in a folder.
type opener func(dir string) (loadedModel, error)

// errNotLoaded answers a call before Load.
var errNotLoaded = errors.New("no model is loaded; call Model.Load first")

// service is the receiver of the calls "Model.…". The parent may call concurrently, but a
// model must not be called concurrently, so the mutex admits one call at a time. A
// waiting call always has a caller. The model checks its input against its manifest.
type service struct {
	open     opener
	giveBack func() error // memory that only the loading has touched; nil for none
	log      *slog.Logger

	mu    sync.Mutex
	model loadedModel // nil until a Load succeeded
}

// Load replaces the model with the one in a folder. If the new one is refused, the old
// one stays.
func (s *service) Load(request inference.LoadRequest, reply *inference.LoadReply) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	start := time.Now()
	model, err := s.open(request.Dir)
	if err != nil {
		return fmt.Errorf("load model: %w", err)
	}
	old := s.model
	s.model = model
	*reply = inference.LoadReply{Manifest: model.Manifest(), SHA256: model.SHA256()}
	s.log.Info("model loaded", "name", reply.Manifest.Name, "version", reply.Manifest.Version,
		"sha256", reply.SHA256, "took_ms", time.Since(start).Milliseconds())
	// The new model is loaded, so what fails from here on is not the caller's.
	if old != nil {
		if err := old.Close(); err != nil {
			s.log.Warn("replaced model not closed", "err", err)
		}
	}
	if s.giveBack != nil {
		if err := s.giveBack(); err != nil {
			s.log.Warn("memory of the loading not given back", "err", err)
		}
	}
	return nil
}

// EncodeFrame turns one frame into tokens.
func (s *service) EncodeFrame(frame inference.Frame, reply *inference.Encoded) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.model == nil {
		return errNotLoaded
	}
	encoded, err := s.model.EncodeFrame(frame)
	if err != nil {
		return err
	}
	*reply = encoded
	return nil
}

// Step evaluates one window.
func (s *service) Step(window inference.Window, reply *inference.Outputs) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.model == nil {
		return errNotLoaded
	}
	outputs, err := s.model.Step(window)
	if err != nil {
		return err
	}
	*reply = outputs
	return nil
}
