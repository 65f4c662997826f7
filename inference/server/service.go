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
		Receiver: &service{open: openTensorFlow, log: log},
	})
}

func openTensorFlow(dir string) (loadedModel, error) {
	model, err := tensorflow.Open(dir)
	if err != nil {
		return nil, err
	}
	return model, nil
}

// loadedModel is a model and what LoadReply says of it.
type loadedModel interface {
	inference.Model
	Manifest() inference.Manifest
	SHA256() string
}

// opener opens the model in a folder.
type opener func(dir string) (loadedModel, error)

// errNotLoaded is the answer to a call that comes before Load.
var errNotLoaded = errors.New("no model is loaded; call Model.Load first")

// service is the receiver of the calls "Model.…". The parent may call
// concurrently, a model must not be, so the mutex lets one call through at a
// time. Nothing queues here without a caller who waits for it. The model itself
// checks what it is given against its manifest.
type service struct {
	open opener
	log  *slog.Logger

	mu    sync.Mutex
	model loadedModel // nil until a Load succeeded
}

// Load opens the model in a folder in place of the one before. If the new one
// is refused, the one before stays.
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
	if old == nil {
		return nil
	}
	// The new model serves whatever becomes of the old one, so no fault to return.
	if err := old.Close(); err != nil {
		s.log.Warn("model before not closed", "error", err)
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

// Step judges one window.
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
