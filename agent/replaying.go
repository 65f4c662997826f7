package agent

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"meltwatch/agent/compare"
	"meltwatch/agent/decide"
	"meltwatch/agent/health"
	"meltwatch/agent/recorder"
	"meltwatch/agent/remote/rollout"
	"meltwatch/agent/replay"
	"meltwatch/agent/settings"
	"meltwatch/config"
	"meltwatch/inference"
)

const (
	// modelLoads bounds the wait for a model that is to decide a recording again.
	modelLoads = time.Minute
	// replayTimeout bounds the calls of a replayed second. It is far longer than
	// model.timeout: a replay waits for a busy machine, where the live decision must not.
	replayTimeout = time.Minute
)

// Replay decides a recording again with the model and the thresholds of a configuration.
func Replay(ctx context.Context, c config.Config, env Env, l *recorder.Library, from, to time.Time, each func(replay.Second)) (result replay.Result, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	one, err := startReplayed(ctx, cancel, c, env, c.Model.Path)
	if err != nil {
		return result, err
	}
	defer func() { cancel(nil); one.wait() }()
	result, err = replay.Run(ctx, l, one.decider(), from, to, each)
	return result, causeOf(ctx, err)
}

// Compare has the model in force and a candidate decide the labelled stretches of a
// recording. The candidate is verified as for a roll-out: its files, its graph, its golden
// vectors, and whether it fits the senses of the one in force.
func Compare(ctx context.Context, c config.Config, env Env, inForce, candidate string, l *recorder.Library, labels []recorder.Label, progress func(done, of int)) (*compare.Comparison, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var both []*replayed
	defer func() {
		cancel(nil)
		for _, one := range both {
			one.wait()
		}
	}()
	for _, folder := range []string{inForce, candidate} {
		if _, err := inference.CheckFolder(folder); err != nil {
			return nil, fmt.Errorf("model %s: %w", folder, err)
		}
		one, err := startReplayed(ctx, cancel, c, env, folder)
		if err != nil {
			return nil, fmt.Errorf("model %s: %w", folder, err)
		}
		both = append(both, one)
	}
	if both[0].sha256() == both[1].sha256() {
		return nil, errSameModel
	}
	if err := fits(both[0].manifest, both[1].manifest, c.State); err != nil {
		return nil, fmt.Errorf("candidate: %w", err)
	}
	if _, err := runGolden(ctx, both[1].manifest, candidate, both[1].child, replayTimeout); err != nil {
		return nil, causeOf(ctx, fmt.Errorf("candidate: %w", err))
	}
	result, err := compare.Run(ctx, l, labels, c.Camera.Delay, func() (a, b *decide.Decider) { return both[0].decider(), both[1].decider() }, progress)
	if err != nil {
		return nil, causeOf(ctx, err)
	}
	result.InForce, result.Candidate = both[0].identity(), both[1].identity()
	return result, nil
}

var errSameModel = errors.New("the candidate is the model in force: name another one")

// ModelInForce returns the folder of the model with which an agent of this configuration
// decides: one that was rolled out, or that of model.path.
func ModelInForce(c config.Config, env Env) string {
	folder := filepath.Join(c.Paths.State, "models")
	return rollout.InForce(env.Files(folder), folder, c.Model.Path)
}

// replayed is a model that decides a recording again, in a child of its own.
type replayed struct {
	config   config.Config
	child    ModelChild
	manifest *inference.Manifest
	ended    chan struct{}
	fail     context.CancelCauseFunc
}

// startReplayed starts a model's child and waits until it is loaded. If the child ends or
// does not answer, fail ends the replay: the rule must not decide in its place.
func startReplayed(ctx context.Context, fail context.CancelCauseFunc, c config.Config, env Env, folder string) (*replayed, error) {
	programs, err := settings.Programs(c.Paths.Programs)
	if err != nil {
		return nil, err
	}
	record := health.NewRegistry().Add("model", modelLimit)
	child, manifest, err := env.Model(filepath.Join(programs, "meltwatch-infer"), folder, env.Log, record)
	if err != nil {
		return nil, config.KeyErrorf("model.path", "%w", err)
	}
	c.Model.Timeout = replayTimeout
	r := &replayed{config: c, child: child, manifest: manifest, ended: make(chan struct{}), fail: fail}
	go func() {
		defer close(r.ended)
		if err := child.Run(ctx); ctx.Err() == nil {
			fail(fmt.Errorf("the model's process ended: %w", err))
		}
	}()
	timeout := time.NewTimer(modelLoads)
	defer timeout.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, loaded := child.Model(); loaded {
			return r, nil
		}
		select {
		case <-tick.C:
		case <-timeout.C:
			err = fmt.Errorf("the model is not loaded after %s", modelLoads)
		case <-r.ended:
			err = context.Cause(ctx)
		}
		if err != nil {
			fail(err)
			r.wait()
			return nil, config.KeyErrorf("model.path", "%w", err)
		}
	}
}

func (r *replayed) wait() { <-r.ended }

func (r *replayed) decider() *decide.Decider {
	return decide.NewDecider(settings.Decision(r.config, r.manifest), answering{r.child, r.fail})
}

func (r *replayed) sha256() string {
	loaded, _ := r.child.Model()
	return loaded.SHA256
}

func (r *replayed) identity() compare.Model {
	return compare.Model{Name: r.manifest.Name, Version: r.manifest.Version, SHA256: r.sha256()}
}

// answering is a model whose silence ends a replay. An invalid answer does not: the rule
// decides in its place, as it does live.
type answering struct {
	model decide.Model
	fail  context.CancelCauseFunc
}

func (a answering) Model() (inference.LoadReply, bool) { return a.model.Model() }

func (a answering) EncodeFrame(ctx context.Context, f inference.Frame) (inference.Encoded, error) {
	encoded, err := a.model.EncodeFrame(ctx, f)
	a.check(ctx)
	return encoded, err
}

func (a answering) Step(ctx context.Context, w inference.Window) (inference.Outputs, error) {
	outputs, err := a.model.Step(ctx, w)
	a.check(ctx)
	return outputs, err
}

func (a answering) check(ctx context.Context) {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		a.fail(fmt.Errorf("the model has not answered for %s", replayTimeout))
	}
}

// causeOf is why a replay was ended, if a model was the reason.
func causeOf(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	return err
}

// Record runs every part except the broker's until ctx ends, so that only the recorder
// writes.
func (a *Agent) Record(ctx context.Context) error {
	a.withoutBroker()
	if err := a.Run(ctx); err != nil {
		return fmt.Errorf("record: %w", err)
	}
	if a.recorder.Load().Written() == 0 {
		return errors.New("record: nothing was written; the log above has the reason, such as a full disk or a folder in use")
	}
	return nil
}
