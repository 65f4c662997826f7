package instructions

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"meltwatch/bench/rig"
	"meltwatch/child"
	"meltwatch/inference"
)

// patience is how long the emulated process may take for a call.
const patience = 5 * time.Minute

// more is how many times as many calls this machine itself makes: its kernel counts processor
// time in hundredths of a second.
const more = 20

// The names of the work of the model's process for a second.
const (
	withoutCamera = "second without a camera"
	withCamera    = "second with a camera"
)

// call counts what the model's process does for a second of the agent's, and for each of many
// calls in a row. The messages of the calls are included.
func (o Options) call(ctx context.Context, at place, into figures) error {
	process, err := child.Start(ctx, child.Spec{
		Service: "Model", Version: inference.ChildVersion, Program: filepath.Join(at.programs, model),
		Log: slog.New(slog.DiscardHandler), HeartbeatTimeout: patience,
		Env: []string{"TF_CPP_MIN_LOG_LEVEL=2", "TF_ENABLE_ONEDNN_OPTS=0"}, // as the agent sets them
	})
	if err != nil {
		return err
	}
	defer process.Close()
	loaded, err := child.Call[inference.LoadReply](ctx, process, "Model.Load", inference.LoadRequest{Dir: o.Programs.Model})
	if err != nil {
		return err
	}
	ping := func() error { _, err := child.Call[struct{}](ctx, process, "Child.Ping", struct{}{}); return err }
	encode, step := functions(ctx, process, loaded.Manifest)
	calls, seconds := o.Calls, int(o.Watch.Seconds())
	if len(at.emulator) == 0 {
		calls *= more
	}
	for _, w := range []struct {
		name  string
		turns int
		every time.Duration
		once  []func() error
	}{
		{inference.EncodeFrame, calls, 0, []func() error{encode}},
		{inference.Step, calls, 0, []func() error{step}},
		{withoutCamera, seconds, time.Second, []func() error{ping, step}},
		{withCamera, seconds, time.Second, []func() error{ping, encode, step}},
	} {
		const warmUp = 5
		if err := turns(ctx, warmUp, w.every, w.once); err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		before, err := at.read(model, process.PID())
		if err != nil {
			return err
		}
		if err := turns(ctx, w.turns, w.every, w.once); err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		after, err := at.read(model, process.PID())
		if err != nil {
			return err
		}
		into.add(at.name, w.name, after.minus(before).over(float64(w.turns)))
	}
	return nil
}

// turns makes calls n times, each time after an interval.
func turns(ctx context.Context, n int, every time.Duration, calls []func() error) error {
	for range n {
		if err := rig.Pause(ctx, every); err != nil {
			return err
		}
		for _, call := range calls {
			if err := call(); err != nil {
				return err
			}
		}
	}
	return nil
}

// functions call the model's two functions with every frame and every sample present.
func functions(ctx context.Context, process *child.Process, m inference.Manifest) (encode, step func() error) {
	frames, windows := m.Signatures[inference.EncodeFrame].Inputs, m.Signatures[inference.Step].Inputs
	frame := inference.Frame{
		Pixels:     make([]byte, frames["frame"].Elements()),
		Background: make([]float32, frames["background"].Elements()),
	}
	window := inference.Window{
		Tokens:     make([]float32, windows["tokens"].Elements()),
		FrameMask:  filled(windows["frame_mask"].Elements(), 1),
		Current:    filled(windows["current"].Elements(), 15000),
		SampleMask: filled(windows["sample_mask"].Elements(), 1),
		SetPoint:   15000,
	}
	if n := m.CurrentBaselineSize(); n > 0 {
		window.CurrentBaseline = make([]float32, n)
	}
	encode = func() error {
		_, err := child.Call[inference.Encoded](ctx, process, "Model.EncodeFrame", frame)
		return err
	}
	step = func() error {
		_, err := child.Call[inference.Outputs](ctx, process, "Model.Step", window)
		return err
	}
	return encode, step
}

func filled(n int, value float32) []float32 {
	all := make([]float32, n)
	for i := range all {
		all[i] = value
	}
	return all
}
