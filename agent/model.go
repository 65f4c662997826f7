package agent

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"meltwatch/agent/decide"
	"meltwatch/agent/message"
	"meltwatch/agent/remote/rollout"
	"meltwatch/agent/settings"
	"meltwatch/config"
	"meltwatch/inference"
)

// newModel returns a model whose child does not run yet.
func (a *Agent) newModel(folder string) (*modelInstance, error) {
	record := a.registry.New(modelLimit)
	client, manifest, err := a.env.Model(filepath.Join(a.programs, "meltwatch-infer"), folder, a.log("model"), record)
	if err != nil {
		return nil, err
	}
	b := &modelInstance{folder: folder, client: client, manifest: manifest, health: record}
	b.decider = decide.NewDecider(settings.Decision(*a.config.Load(), b.manifest), client)
	return b, nil
}

func (a *Agent) startModel(m *modelInstance) {
	m.child = &instance{run: m.client.Run}
	a.start("model", m.child)
}

// Live returns the model that decides.
func (a *Agent) Live() rollout.Instance { return a.live.Load() }

// Fits requires the window and the picture of the live model, for which meters and
// camera are set up.
func (a *Agent) Fits(m inference.Manifest) error {
	return fits(a.live.Load().manifest, &m, a.config.Load().State)
}

// fits returns why a model cannot take the place of the live one, or nil.
func fits(live, m *inference.Manifest, c config.State) error {
	want, have := live.Video, m.Video
	want.Tokens, want.Dim, want.Background = have.Tokens, have.Dim, have.Background
	want.EvidenceRows, want.EvidenceColumns = have.EvidenceRows, have.EvidenceColumns
	switch {
	case m.Current != live.Current:
		return fmt.Errorf("current: the model needs %+v, this agent provides %+v: export the model for that", m.Current, live.Current)
	case fmt.Sprint(have) != fmt.Sprint(want):
		return fmt.Errorf("video: the model needs %dx%d %s by %s, %d frames at %g Hz; this agent provides %dx%d %s by %s, %d frames at %g Hz: export the model for that",
			have.Width, have.Height, have.Channels, have.Resize, have.Frames, have.RateHz,
			want.Width, want.Height, want.Channels, want.Resize, want.Frames, want.RateHz)
	}
	return settings.CheckThresholds(c, m.Decision)
}

const loadLimit = 45 * time.Second

// Load starts a second child and waits until it has loaded the model.
func (a *Agent) Load(ctx context.Context, folder string) (rollout.Instance, error) {
	b, err := a.newModel(folder)
	if err != nil {
		return nil, err
	}
	a.startModel(b) //nolint:contextcheck // parts outlive the call: Group.Stop ends them
	a.second.Store(b)
	timeout := time.NewTimer(loadLimit)
	defer timeout.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, ok := b.client.Model(); ok {
			return b, nil
		}
		if err := b.health.LastFault(); err != nil {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-timeout.C:
			return nil, fmt.Errorf("not loaded within %s", loadLimit)
		case <-tick.C:
		}
	}
}

// Shadow makes a loaded model decide beside the live one.
func (a *Agent) Shadow(ctx context.Context, one rollout.Instance, compare func(rollout.Comparison)) error {
	b, ok := one.(*modelInstance)
	if !ok {
		return errors.New("the model belongs to another agent")
	}
	return a.loop.Do(ctx, func() {
		b.decider.Adopt(settings.Decision(*a.config.Load(), b.manifest)) // the configuration may have changed since
		a.loop.Shadow(b.decider, func(c decide.Comparison) {
			compare(rollout.Comparison{
				LiveP: c.Live.Verdict.P, LiveFault: c.Live.Fault, LiveTook: c.LiveTook,
				ShadowP: c.Shadow.Verdict.P, ShadowFault: c.Shadow.Fault, ShadowTook: c.ShadowTook,
			})
		})
	})
}

// Switch exchanges the live model and its shadow between two seconds.
func (a *Agent) Switch(ctx context.Context) error {
	a.changing.Lock()
	defer a.changing.Unlock()
	return a.loop.Do(ctx, func() {
		if !a.loop.Swap() {
			return
		}
		a.second.Store(a.live.Swap(a.second.Load()))
		a.registry.Put("model", a.live.Load().health)
	})
}

// Drop stops the second model, if there is one.
func (a *Agent) Drop() {
	a.changing.Lock()
	defer a.changing.Unlock()
	// An error means that the agent ends, and the child with it.
	if err := a.loop.Do(context.Background(), a.loop.Unshadow); err != nil {
		return
	}
	if b := a.second.Swap(nil); b != nil {
		b.child.stop()
	}
}

// modelName names the model that decides, empty while none is loaded.
func (a *Agent) modelName() message.ModelName {
	model, ok := a.live.Load().client.Model()
	if !ok {
		return message.ModelName{}
	}
	return message.ModelName{Name: model.Manifest.Name, Version: model.Manifest.Version, SHA256: model.SHA256}
}
