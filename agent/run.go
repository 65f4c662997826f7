package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"meltwatch/agent/decide"
	"meltwatch/agent/delivery"
	"meltwatch/agent/health"
	"meltwatch/agent/message"
	"meltwatch/agent/report"
	"meltwatch/agent/settings"
	"meltwatch/agent/stamp"
	"meltwatch/agent/supervisor"
	"meltwatch/agent/web"
	"meltwatch/config"
)

// NewFixed builds an agent whose configuration does not change, to look at a furnace that
// another agent may watch: it changes nothing in paths.state, not even the count of starts.
// It starts nothing.
func NewFixed(c config.Config, env Env) (*Agent, error) {
	stamper := stamp.Beside(env.Files(c.Paths.State), env.Clock, env.KernelBoot, env.Instance)
	a, err := build(c, c.Model.Path, stamper, env)
	if err == nil {
		a.beside = true
	}
	return a, err
}

// build builds every part and starts none. model is the folder of the live model, which
// may differ from the configured one.
func build(c config.Config, model string, stamper *stamp.Stamper, env Env) (*Agent, error) {
	programs, err := settings.Programs(c.Paths.Programs)
	if err != nil {
		return nil, err
	}
	a := &Agent{
		env: env, registry: health.NewRegistry(), programs: programs,
		stamper: stamper, video: &videoSwitch{}, out: delivery.NewSwitch(), running: supervisor.NewGroup(env.Log),
		recording: make(chan struct{}, 1), sessions: web.NewSessions(), passwords: newPasswordReader(),
	}
	a.config.Store(&c)
	live, err := a.newModel(model)
	if err != nil {
		return nil, config.KeyErrorf("model.path", "%w", err)
	}
	a.live.Store(live)
	a.registry.Put("model", live.health)
	a.reporter = report.New(report.Settings{
		Output: recordedOutput{a.out, a}, Registry: a.registry, Limit: decideLimit, Stamper: a.stamper,
		Machine: live.decider.Machine(), Video: live.manifest.Video,
		Files: env.Files(c.Paths.State), Version: env.Version, Log: a.log("decide"),
		Model: a.modelName, Cause: a.video.Cause, Dropped: func() uint64 { return a.loop.Dropped() },
		Background:       func() *decide.Background { return a.live.Load().decider.Background() },
		ResumeBackground: live.decider.ResumeBackground,

		CurrentBaseline:       func() *decide.CurrentBaseline { return a.live.Load().decider.CurrentBaseline() },
		ResumeCurrentBaseline: live.decider.ResumeCurrentBaseline,
	})
	a.loop = decide.NewLoop(live.decider, a.video, func(s decide.Decision) {
		a.decided.Store(s.End.UnixNano())
		a.reporter.Decided(s)
		a.alarms.Decided(*a.reporter.Newest(), s, a.looksAbnormal(s))
		a.suspicions.Decided(*a.reporter.Newest(), s, false)
		a.change.Store(a.alarms.Change())
		a.record(s)
		a.page.State(*a.reporter.Newest())
	})
	a.openAlarms()
	a.comparer, a.prober = newComparer(a), newProber(a)
	a.services = []service{{"decide", a.loop.Run}, {"compare", a.comparer.Run}, {"probe", a.prober.Run}}
	if err := a.addParts(); err != nil {
		return nil, err
	}
	a.retainLastAlarm()
	return a, nil
}

// addParts builds the first instance of every part. part.go lists the sections.
func (a *Agent) addParts() error {
	err := errors.Join(
		a.add("log", func(c config.Config) any { return c.Log.Level }, a.buildLog),
		a.add("mqtt", brokerSection, a.buildBroker),
		a.add("camera", cameraSection, a.buildCamera),
	)
	a.addDecision(*a.config.Load())
	return errors.Join(err,
		a.add("meters", func(c config.Config) any { return c.Meters }, a.buildMeters),
		a.add("recorder", recorderSection, a.buildRecorder),
		a.add("web", webSection, a.buildWeb),
		a.add("metrics", func(c config.Config) any { return c.Metrics }, a.buildMetrics))
}

func (a *Agent) buildLog(c config.Config) (*instance, error) {
	return &instance{activate: func() { a.env.Level.Set(settings.LogLevel(c.Log)) }, missing: worksAtOnce}, nil
}

// Run watches the furnace until ctx ends. It must be called once only. It returns an
// error if systemd cannot be notified or the outbox cannot be closed.
func (a *Agent) Run(ctx context.Context) error {
	a.reporter.Resume()
	for _, s := range a.services {
		a.running.Start(s.name, s.run) //nolint:contextcheck // parts outlive the call: Group.Stop ends them
	}
	a.startModel(a.live.Load()) //nolint:contextcheck // parts outlive the call: Group.Stop ends them
	a.changing.Lock()
	for _, p := range a.parts {
		a.start(p.name, p.now) //nolint:contextcheck // parts outlive the call: Group.Stop ends them
	}
	a.changing.Unlock()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return health.Notify(ctx, a.registry, a.env.Log) })
	group.Go(func() error { a.reporter.HealthLoop(ctx); return nil })
	stopped := make(chan struct{})
	if !a.beside {
		group.Go(func() error { a.reporter.SaveLoop(ctx); return nil })
		group.Go(func() error { a.saveSteps(a.alarms, stopped); return nil })
		group.Go(func() error { a.saveSteps(a.suspicions, stopped); return nil })
	}
	group.Go(func() error { <-ctx.Done(); a.running.Stop(); close(stopped); return nil })
	return errors.Join(group.Wait(), a.closeOutbox())
}

// withoutBroker removes the broker's part before Run.
func (a *Agent) withoutBroker() { a.without("mqtt") }

// without removes parts before Run.
func (a *Agent) without(names ...string) {
	a.parts = slices.DeleteFunc(a.parts, func(p *part) bool { return slices.Contains(names, p.name) })
	for _, name := range names {
		a.registry.Remove(name) // it is not stuck, it is not here
	}
}

// Once runs every part but those that serve others for a while and returns the last state. It
// publishes nothing.
func (a *Agent) Once(ctx context.Context, wait time.Duration) (*message.State, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	a.withoutBroker()
	a.without("recorder", "web", "metrics")
	a.recorder.Store(nil)
	if err := a.Run(ctx); err != nil {
		return nil, err
	}
	verdict := a.reporter.Newest()
	if verdict == nil {
		return nil, fmt.Errorf("nothing was decided within %s: try --wait 60s, and meltwatch check", wait)
	}
	return verdict, nil
}
