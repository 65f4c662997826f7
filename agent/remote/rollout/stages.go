package rollout

import (
	"context"
	"errors"
	"fmt"
	"time"

	"meltwatch/agent/message"
	"meltwatch/inference"
	"meltwatch/percentile"
	"meltwatch/retry"
)

// A roll-out goes through stages: check, shadow, switch over, watch. Each returns its
// outcome, and settle records the last one in the journal. Only the switch is recorded
// elsewhere, before it is made.

// rollOut is the roll-out of one model.
type rollOut struct {
	desired  message.ModelDesired
	model    ModelID
	before   ModelID // the live model until the switch
	instance Instance
	stats    *shadowStats
}

// outcome is the result of a stage. The zero outcome leads to the next stage.
type outcome struct {
	status string // message.Rejected, message.RolledBack or message.Live
	fault  message.Fault
	// again reports whether the model has no fault, so the journal does not refuse it.
	again bool
	// ended reports whether the agent ends; the next start continues.
	ended bool
}

func (o outcome) passed() bool { return o.status == "" && !o.ended }

func rejectedFor(key string, err error) outcome {
	return outcome{status: message.Rejected, fault: message.Fault{Key: key, Message: err.Error()}}
}

// run takes a model on disk through the stages.
func (m *Manager) run(ctx context.Context, d message.ModelDesired, model ModelID) {
	r := &rollOut{desired: d, model: model, before: m.live, stats: newShadowStats(m.limit())}
	for _, stage := range []func(context.Context, *rollOut) outcome{m.check, m.shadow, m.switchOver, m.watch} {
		if o := stage(ctx, r); !o.passed() {
			m.settle(ctx, r, o)
			return
		}
	}
	m.settle(ctx, r, outcome{status: message.Live})
}

// settle applies an outcome and records it.
func (m *Manager) settle(ctx context.Context, r *rollOut, o outcome) {
	if o.ended {
		return
	}
	if o.status == message.RolledBack {
		// The old model, which shadows, takes over before the journal is written.
		if err := m.agent.Switch(ctx); err != nil {
			return // the agent ends, and the next start continues the watch
		}
		m.live = r.before
	}
	if r.instance != nil {
		m.agent.Drop()
	}
	var err error
	switch {
	case o.status == message.Live:
		err = errors.Join(m.journal.Show(), m.journal.Lived())
	case o.status == message.RolledBack:
		err = m.journal.Refuse(true, o.fault)
	case !o.again:
		err = m.journal.Reject(r.model, o.fault)
	}
	if err != nil {
		m.observer.Fault(err)
	}
	if !o.again {
		m.sweep()
	}
	var faults []message.Fault
	if o.fault != (message.Fault{}) {
		faults = []message.Fault{o.fault}
	}
	var scores *message.ModelScores // nil for a model that never shadowed
	if r.instance != nil {
		scores = r.stats.scores()
	}
	m.publish(r.model, o.status, scores, faults...)
}

// reject records a model that could not be obtained.
func (m *Manager) reject(ctx context.Context, model ModelID, key string, err error) {
	m.settle(ctx, &rollOut{model: model}, rejectedFor(key, err))
}

// check loads a model in a second child and tries it on its golden vectors.
func (m *Manager) check(ctx context.Context, r *rollOut) outcome {
	m.publish(r.model, message.Checking, nil)
	stop := retry.Every(ctx, beat, m.beat) // the watchdog sees progress during a bounded wait
	defer stop()
	instance, key, err := m.load(ctx, m.folder(r.model))
	if err != nil {
		m.agent.Drop()
		return rejectedFor(key, err)
	}
	r.instance = instance
	return outcome{}
}

// shadow makes the model decide beside the live one, and compares them.
func (m *Manager) shadow(ctx context.Context, r *rollOut) outcome {
	if err := m.agent.Shadow(ctx, r.instance, r.stats.add); err != nil {
		m.agent.Drop()
		return outcome{ended: true}
	}
	err := m.observe(ctx, r, message.Shadowing, r.desired.Shadow())
	scores := r.stats.scores()
	switch {
	case ctx.Err() != nil:
		return outcome{ended: true}
	case errors.Is(err, errSuperseded):
		return outcome{status: message.Rejected, fault: message.Fault{Key: "revision", Message: err.Error()}, again: true}
	case err == nil && scores.Seconds == 0:
		err = errNoComparison
	case err == nil && scores.Agreement < r.desired.MinAgreement:
		err = fmt.Errorf("agrees with the live model in a share of %.3f of the seconds, min_agreement is %g", scores.Agreement, r.desired.MinAgreement)
	}
	if err != nil {
		return rejectedFor("shadow", err)
	}
	return outcome{}
}

// switchOver makes the shadow decide. The journal is written before the switch: after a
// kill in between, the agent starts with the new model, which has passed every check.
func (m *Manager) switchOver(ctx context.Context, r *rollOut) outcome {
	r.model.Before = r.before.SHA256
	if err := m.journal.Stage(r.model, r.before); err != nil {
		m.observer.Fault(err)
		return outcome{status: message.Rejected, again: true,
			fault: message.Fault{Key: "paths.state", Message: "a switch that cannot be recorded on disk is not made: " + err.Error()}}
	}
	if err := m.agent.Switch(ctx); err != nil {
		return outcome{ended: true}
	}
	m.live = r.model
	r.stats.switched()
	m.publish(r.model, message.Watching, r.stats.scores())
	return outcome{}
}

// watch observes the new live model, and rolls back if it has a fault.
func (m *Manager) watch(ctx context.Context, r *rollOut) outcome {
	err := m.observe(ctx, r, message.Watching, r.desired.Watch())
	switch {
	case ctx.Err() != nil:
		return outcome{ended: true}
	case err != nil:
		return outcome{status: message.RolledBack, fault: message.Fault{Key: "watch", Message: err.Error()}}
	}
	return outcome{}
}

// proveStart continues to watch a model that the last process had switched to.
func (m *Manager) proveStart(ctx context.Context) {
	before, _ := m.journal.Good()
	r := &rollOut{
		desired: message.ModelDesired{WatchS: message.DefaultWatch}, model: m.live, before: before,
		instance: m.agent.Live(), stats: newShadowStats(m.limit()),
	}
	o := m.watch(ctx, r)
	switch {
	case o.ended:
		return
	case o.passed():
		o = outcome{status: message.Live}
	default:
		old, err := m.agent.Load(ctx, m.folder(before))
		if err == nil {
			err = m.agent.Shadow(ctx, old, func(Comparison) {})
		}
		if err != nil {
			// No other model is available: the rule decides while the new one does not.
			m.agent.Drop()
			m.observer.Fault(fmt.Errorf("%s; the previous model cannot decide either: %w", o.fault.Message, err))
			return
		}
	}
	m.settle(ctx, r, o)
}

// load loads a model in a second child and tries it on its golden vectors.
func (m *Manager) load(ctx context.Context, folder string) (instance Instance, key string, err error) {
	manifest, _, err := inference.ReadManifest(folder)
	if err != nil {
		return nil, "manifest", err
	}
	if err := m.agent.Fits(manifest); err != nil {
		return nil, "manifest", err
	}
	if instance, err = m.agent.Load(ctx, folder); err != nil {
		return nil, "load", err
	}
	took, err := instance.Golden(ctx)
	if err != nil {
		return nil, "golden", err
	}
	limits := m.limit()
	if p := percentile.Of(took, 95); p > limits.Latency {
		return nil, "latency", fmt.Errorf("a call takes %s at the 95th percentile, longer than remote.model_latency, %s", p.Round(time.Millisecond), limits.Latency)
	}
	return instance, "memory", m.memory(instance, limits)
}

func (m *Manager) memory(i Instance, limits Limits) error {
	bytes, err := i.Memory()
	if err != nil {
		return fmt.Errorf("memory of its process: %w", err)
	}
	if bytes > limits.Memory {
		return fmt.Errorf("its process uses %d MB, more than remote.model_memory_mb, %d", bytes/1_000_000, limits.Memory/1_000_000)
	}
	return nil
}

var errSuperseded = errors.New("another document arrived before the switch")

const (
	reportEvery = 10 * time.Second
	observe     = 200 * time.Millisecond
)

// observe checks a running model's statistics and process for a duration. It returns
// early with a fault, or when ctx ends.
func (m *Manager) observe(ctx context.Context, r *rollOut, status string, long time.Duration) error {
	tick := time.NewTicker(observe)
	defer tick.Stop()
	began, reported := time.Now(), time.Time{}
	for {
		m.beat()
		limits := m.limit()
		memory, _ := r.instance.Memory() // Alive reports its fault too
		r.stats.hold(memory)
		if err := errors.Join(r.instance.Alive(), r.stats.fault(limits), m.memory(r.instance, limits)); err != nil {
			return err
		}
		now := time.Now()
		if now.Sub(began) >= long {
			return nil
		}
		if status == message.Watching && now.Sub(began) >= time.Minute {
			m.lived()
		}
		if now.Sub(reported) >= reportEvery {
			m.publish(r.model, status, r.stats.scores())
			reported = now
		}
		if status == message.Shadowing && m.superseded(r.model) {
			return errSuperseded
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// lived records that a death of the agent no longer counts against the new model.
func (m *Manager) lived() {
	if t, ok := m.journal.Trial(); !ok || !t.Running {
		return
	}
	if err := m.journal.Lived(); err != nil {
		m.observer.Fault(err)
	}
}
