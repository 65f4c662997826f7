package agent

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"meltwatch/agent/decide"
	"meltwatch/agent/health"
	"meltwatch/agent/recorder"
	"meltwatch/agent/replay"
	"meltwatch/agent/settings"
	"meltwatch/config"
)

// modelLoads bounds the wait for a model that is to decide a recording again.
const modelLoads = time.Minute

// Replay decides a recording again with the model and the thresholds of a configuration.
func Replay(ctx context.Context, c config.Config, env Env, l *recorder.Library, from, to time.Time, each func(replay.Second)) (replay.Result, error) {
	programs, err := settings.Programs(c.Paths.Programs)
	if err != nil {
		return replay.Result{}, err
	}
	record := health.NewRegistry().Add("model", modelLimit)
	child, manifest, err := env.Model(filepath.Join(programs, "meltwatch-infer"), c.Model.Path, env.Log, record)
	if err != nil {
		return replay.Result{}, config.KeyErrorf("model.path", "%w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- child.Run(ctx) }()
	defer func() { cancel(); <-ended }() //nolint:errcheck // it ended on request
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if _, loaded := child.Model(); loaded {
			break
		}
		select {
		case err := <-ended:
			ended <- err
			return replay.Result{}, config.KeyErrorf("model.path", "the model does not start: %w", err)
		case <-ctx.Done():
			return replay.Result{}, ctx.Err()
		default:
		}
		if time.Since(began) > modelLoads {
			return replay.Result{}, config.KeyErrorf("model.path", "the model is not loaded after %s", modelLoads)
		}
	}
	return replay.Run(ctx, l, decide.NewDecider(settings.Decision(c, manifest), child), from, to, each)
}

// Record runs every part except the broker's until ctx ends, so that only the recorder
// writes.
func (a *Agent) Record(ctx context.Context) error {
	a.withoutBroker()
	if err := a.Run(ctx); err != nil {
		return fmt.Errorf("record: %w", err)
	}
	return nil
}
