package rollout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"meltwatch/inference"
)

// roll takes a model that lies on the disk from its checks to the switch and
// past it.
func (m *Manager) roll(ctx context.Context, d Desired, model Model) {
	m.say(model, checking, nil)
	stop := m.beating(ctx)
	brain, key, err := m.check(ctx, m.folder(model))
	stop()
	if err != nil {
		m.box.Drop()
		m.reject(model, nil, key, err)
		return
	}
	t := newTally(m.limit())
	if err := m.box.Shadow(ctx, brain, t.add); err != nil {
		m.box.Drop()
		return // the agent ends
	}
	err = m.observe(ctx, model, shadowing, t, brain, d.shadow())
	if err == nil && t.scores().Seconds == 0 {
		err = errNoComparison
	}
	if err == nil && t.scores().Agreement < d.MinAgreement {
		err = fmt.Errorf("agrees with the live model in a share of %.3f of the seconds, asked were %g", t.scores().Agreement, d.MinAgreement)
	}
	switch {
	case ctx.Err() != nil:
		return
	case errors.Is(err, errSuperseded):
		m.box.Drop()
		m.say(model, rejected, t.scores(), Fault{Key: "revision", Message: err.Error()})
	case err != nil:
		m.box.Drop()
		m.reject(model, t.scores(), "shadow", err)
	default:
		m.switchOver(ctx, d, model, brain, t)
	}
}

// check loads a model in a second child and tries it on its golden vectors.
func (m *Manager) check(ctx context.Context, folder string) (brain Brain, key string, err error) {
	manifest, _, err := inference.ReadManifest(folder)
	if err != nil {
		return nil, "manifest", err
	}
	if err := m.box.Fits(manifest); err != nil {
		return nil, "manifest", err
	}
	if brain, err = m.box.Load(ctx, folder); err != nil {
		return nil, "load", err
	}
	took, err := brain.Golden(ctx)
	if err != nil {
		return nil, "golden", err
	}
	limits := m.limit()
	if p := percentile95(took); p > limits.Latency {
		return nil, "latency", fmt.Errorf("a call takes %s at the 95th percentile, remote.model_latency allows %s", p.Round(time.Millisecond), limits.Latency)
	}
	return brain, "memory", m.memory(brain, limits)
}

func (m *Manager) memory(b Brain, limits Limits) error {
	bytes, err := b.Memory()
	if err != nil {
		return fmt.Errorf("its process: %w", err)
	}
	if bytes > limits.Memory {
		return fmt.Errorf("its process holds %d MB, remote.model_memory_mb allows %d", bytes/1_000_000, limits.Memory/1_000_000)
	}
	return nil
}

var errSuperseded = errors.New("another document came before the model was switched to")

const (
	reportEvery = 10 * time.Second
	observe     = 200 * time.Millisecond
)

// observe watches a model at work for a while: the tally and its process. It
// returns early with what speaks against it, or when ctx ends.
func (m *Manager) observe(ctx context.Context, model Model, status string, t *tally, b Brain, long time.Duration) error {
	tick := time.NewTicker(observe)
	defer tick.Stop()
	began, reported := time.Now(), time.Time{}
	for {
		m.beat()
		limits := m.limit()
		memory, _ := b.Memory() // its fault is Alive's too
		t.hold(memory)
		if err := errors.Join(b.Alive(), t.fault(limits), m.memory(b, limits)); err != nil {
			return err
		}
		now := time.Now()
		if now.Sub(began) >= long {
			return nil
		}
		if status == watching && now.Sub(began) >= time.Minute {
			m.lived()
		}
		if now.Sub(reported) >= reportEvery {
			m.say(model, status, t.scores())
			reported = now
		}
		if status == shadowing && m.superseded(model) {
			return errSuperseded
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// lived notes that a death of the agent is no longer the new model's doing.
func (m *Manager) lived() {
	if t, ok := m.journal.Trial(); !ok || !t.Running {
		return
	}
	if err := m.journal.Lived(); err != nil {
		m.observer.Fault(err)
	}
}

// switchOver makes the shadow decide, watches it, and keeps it or goes back. The
// journal knows before the switch happens: a kill in between starts with the new
// model, which has passed every check.
func (m *Manager) switchOver(ctx context.Context, d Desired, model Model, b Brain, t *tally) {
	before := m.live
	model.Before = before.SHA256
	if err := m.journal.Stage(model, before); err != nil {
		m.observer.Fault(err)
		m.box.Drop()
		m.say(model, rejected, t.scores(), Fault{Key: "paths.state", Message: "a switch that cannot be noted on disk is not made: " + err.Error()})
		return
	}
	if err := m.box.Switch(ctx); err != nil {
		return // the agent ends
	}
	m.live = model
	t.switched()
	m.say(model, watching, t.scores())
	err := m.observe(ctx, model, watching, t, b, d.watch())
	switch {
	case ctx.Err() != nil:
	case err != nil:
		m.goBack(ctx, model, before, t, err)
	default:
		m.keep(model, t)
	}
}

// keep ends the old model.
func (m *Manager) keep(model Model, t *tally) {
	m.box.Drop()
	if err := errors.Join(m.journal.Show(), m.journal.Lived()); err != nil {
		m.observer.Fault(err)
	}
	m.sweep()
	m.say(model, statusLive, t.scores())
}

// goBack has the old model, which shadows, decide again. It decides first; then
// the journal is told.
func (m *Manager) goBack(ctx context.Context, model, before Model, t *tally, why error) {
	if err := m.box.Switch(ctx); err != nil {
		return // the agent ends, and the next start begins with the trial's watch
	}
	m.box.Drop()
	m.live = before
	fault := Fault{Key: "watch", Message: why.Error()}
	if err := m.journal.Refuse(true, fault); err != nil {
		m.observer.Fault(err)
	}
	m.sweep()
	m.say(model, rolledBack, t.scores(), fault)
}

// reject notes a model that never decided.
func (m *Manager) reject(model Model, scores *Scores, key string, err error) {
	fault := Fault{Key: key, Message: err.Error()}
	if err := m.journal.Reject(model, fault); err != nil {
		m.observer.Fault(err)
	}
	m.sweep()
	m.say(model, rejected, scores, fault)
}

// proveStart goes on watching a model that the last process had switched to.
func (m *Manager) proveStart(ctx context.Context) {
	model := m.live
	before, _ := m.journal.Good()
	t := newTally(m.limit())
	err := m.observe(ctx, model, watching, t, m.box.Live(), defaultWatch*time.Second)
	if ctx.Err() != nil {
		return
	}
	if err == nil {
		m.keep(model, t)
		return
	}
	brain, loadErr := m.box.Load(ctx, m.folder(before))
	if loadErr == nil {
		loadErr = m.box.Shadow(ctx, brain, func(Comparison) {})
	}
	if loadErr != nil {
		// Nothing better is at hand: the rule speaks while the new one does not.
		m.box.Drop()
		m.observer.Fault(errors.Join(err, loadErr))
		return
	}
	m.goBack(ctx, model, before, t, err)
}

func percentile95(durations []time.Duration) time.Duration {
	if len(durations) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(durations))
	return sorted[(len(sorted)*95-1)/100]
}
