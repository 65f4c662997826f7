// Package infer is the client of the inference child. It starts the child, makes it
// load a model, and passes calls on. The child holds no other state, so it may die at
// any moment. Calls then fail at once, and the caller falls back to the rule until a
// new child has loaded the model.
package infer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync/atomic"
	"time"

	"meltwatch/child"
	"meltwatch/inference"
	"meltwatch/retry"
	"meltwatch/tick"
)

// Observer receives the status of the child.
type Observer interface {
	Beat()
	OK()
	Fault(error)
	Count(map[string]uint64)
}

// Client calls the running child. It is safe for concurrent use.
type Client struct {
	program, folder string
	log             *slog.Logger
	observer        Observer

	alive    atomic.Pointer[process]
	starts   atomic.Uint64
	failures atomic.Uint64 // in a row
}

type process struct {
	*child.Process
	model inference.LoadReply
}

// ErrNoModel is returned while no child has a model loaded.
var ErrNoModel = errors.New("no model is loaded")

const (
	loadTimeout = 30 * time.Second
	// tolerated is the number of failed calls in a row after which the child is
	// replaced.
	tolerated = 5
	beat      = time.Second
)

// New returns a client that runs program as the child and makes it load the model in
// folder.
func New(program, folder string, log *slog.Logger, observer Observer) *Client {
	return &Client{program: program, folder: folder, log: log, observer: observer}
}

// Run starts the child and uses it until it dies, only fails, or ctx ends.
func (c *Client) Run(ctx context.Context) error {
	err := c.live(ctx)
	if err != nil && ctx.Err() == nil {
		c.observer.Fault(err)
	}
	return err
}

func (c *Client) live(ctx context.Context) error {
	c.observer.Beat()
	c.starts.Add(1)
	p, err := child.Start(ctx, child.Spec{
		Service: "Model", Version: inference.ChildVersion, Program: c.program, Log: c.log,
		// TensorFlow reads these before our code runs. Level 2 keeps its many notes out
		// of the log, but not its errors. oneDNN's kernels order sums differently on
		// each processor, and slow a network of this size down.
		Env: []string{"TF_CPP_MIN_LOG_LEVEL=2", "TF_ENABLE_ONEDNN_OPTS=0"},
	})
	if err != nil {
		return err
	}
	defer p.Close()
	model, err := c.load(ctx, p)
	if err != nil {
		return err
	}
	c.failures.Store(0)
	c.alive.Store(&process{p, model})
	defer c.alive.Store(nil)
	c.observer.OK()
	c.log.Info("model loaded", "name", model.Manifest.Name, "version", model.Manifest.Version, "pid", p.PID())
	return c.watch(ctx, p)
}

func (c *Client) load(ctx context.Context, p *child.Process) (inference.LoadReply, error) {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	// Loading has its own timeout, so the watchdog sees progress meanwhile.
	defer retry.Every(ctx, beat, c.observer.Beat)()
	return child.Call[inference.LoadReply](ctx, p, "Model.Load", inference.LoadRequest{Dir: c.folder})
}

func (c *Client) watch(ctx context.Context, p *child.Process) error {
	round := tick.New(beat)
	defer round.Stop()
	for {
		c.observer.Beat()
		c.observer.Count(map[string]uint64{"starts": c.starts.Load(), "failures_in_a_row": c.failures.Load()})
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.Done():
			return p.Err()
		case <-round.C:
			round.Next()
		}
		if n := c.failures.Load(); n >= tolerated {
			return fmt.Errorf("model failed %d calls in a row and its child is replaced", n)
		}
	}
}

// Model returns the loaded model, and false if none is loaded.
func (c *Client) Model() (inference.LoadReply, bool) {
	p := c.alive.Load()
	if p == nil {
		return inference.LoadReply{}, false
	}
	return p.model, true
}

// EncodeFrame encodes one frame.
func (c *Client) EncodeFrame(ctx context.Context, f inference.Frame) (inference.Encoded, error) {
	encoded, err := call[inference.Encoded](ctx, c, "Model.EncodeFrame", f)
	if err == nil {
		err = c.finite("tokens", encoded.Tokens)
	}
	return encoded, err
}

// Step runs the model on a window. All returned numbers are finite.
func (c *Client) Step(ctx context.Context, w inference.Window) (inference.Outputs, error) {
	outputs, err := call[inference.Outputs](ctx, c, "Model.Step", w)
	if err != nil {
		return nil, err
	}
	if len(outputs[inference.PAbnormal]) != 1 {
		c.failures.Add(1)
		return nil, fmt.Errorf("model output %s has %d values, want 1", inference.PAbnormal, len(outputs[inference.PAbnormal]))
	}
	for name, values := range outputs {
		if err := c.finite(name, values); err != nil {
			return nil, err
		}
	}
	c.failures.Store(0)
	return outputs, nil
}

func call[Reply any](ctx context.Context, c *Client, method string, args any) (Reply, error) {
	p := c.alive.Load()
	if p == nil {
		var none Reply
		return none, ErrNoModel
	}
	reply, err := child.Call[Reply](ctx, p.Process, method, args)
	if err != nil {
		c.failures.Add(1)
	}
	return reply, err
}

func (c *Client) finite(name string, values []float32) error {
	for _, v := range values {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			c.failures.Add(1)
			return fmt.Errorf("model output %s contains %v", name, v)
		}
	}
	return nil
}
