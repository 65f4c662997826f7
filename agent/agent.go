// Package agent watches one furnace. It builds every part from its section of the
// configuration, runs the parts, replaces those whose section changes, and publishes
// their results. docs/architecture.md has a drawing.
package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"meltwatch/agent/decide"
	"meltwatch/agent/delivery"
	"meltwatch/agent/health"
	"meltwatch/agent/message"
	"meltwatch/agent/outbox"
	"meltwatch/agent/remote"
	"meltwatch/agent/settings"
	"meltwatch/agent/stamp"
	"meltwatch/agent/supervisor"
	"meltwatch/config"
)

// The time within which a part's loop must iterate, or the watchdog counts it as stuck.
// Each is well above the longest bounded wait in the loop.
const (
	meterLimit  = 45 * time.Second
	cameraLimit = 45 * time.Second // a child's start may take 15 s, the wait before a restart 8 s
	modelLimit  = 45 * time.Second
	decideLimit = 10 * time.Second
	mqttLimit   = 45 * time.Second
	// A disk may hang indefinitely, and a restart would not cure it. The agent goes on
	// with records in memory, so the outbox never counts as stuck.
	outboxLimit = time.Duration(math.MaxInt64)
)

// Agent watches one furnace.
type Agent struct {
	env      Env
	config   atomic.Pointer[config.Config] // the running configuration; the manager changes it
	registry *health.Registry
	stamper  *stamp.Stamper
	programs string

	video    *videoSwitch
	live     atomic.Pointer[modelInstance] // the model that decides
	second   atomic.Pointer[modelInstance] // a candidate that is loaded too, or nil
	loop     *decide.Loop
	decided  atomic.Int64 // the end of the last decided second, Unix nanoseconds
	out      *delivery.Switch
	reporter *reporter
	manager  *remote.Manager // of the configuration; nil if that does not change

	outbox *outbox.Log // nil if records wait in memory
	// outboxLock is held while the outbox is open.
	outboxLock io.Closer
	open       openOutbox

	// changing is held while instances are stopped and started.
	changing sync.Mutex
	running  *supervisor.Group
	parts    []*part
	services []service
}

// service is a loop that runs as long as the agent.
type service struct {
	name string
	run  func(context.Context) error
}

// NewFixed builds an agent whose configuration does not change. It starts nothing.
func NewFixed(c config.Config, env Env) (*Agent, error) { return build(c, c.Model.Path, env) }

// build builds every part and starts none. model is the folder of the live model, which
// may differ from the configured one.
func build(c config.Config, model string, env Env) (*Agent, error) {
	programs, err := settings.Programs(c.Paths.Programs)
	if err != nil {
		return nil, err
	}
	a := &Agent{
		env: env, registry: health.NewRegistry(), programs: programs,
		stamper: stamp.New(env.Files(c.Paths.State), env.Clock, env.KernelBoot, env.Instance),
		video:   &videoSwitch{}, out: delivery.NewSwitch(), running: supervisor.NewGroup(env.Log),
	}
	a.config.Store(&c)
	live, err := a.newModel(model)
	if err != nil {
		return nil, config.KeyErrorf("model.path", "%w", err)
	}
	a.live.Store(live)
	a.registry.Put("model", live.health)
	a.reporter = newReporter(a, live.decider.Machine(), live.manifest.Video)
	a.loop = decide.NewLoop(live.decider, a.video, func(s decide.Decision) {
		a.decided.Store(s.End.UnixNano())
		a.reporter.decision(s)
	})
	a.services = []service{{"decide", a.loop.Run}}
	return a, a.addParts()
}

// addParts builds the first instance of every part. part.go lists the sections.
func (a *Agent) addParts() error {
	err := errors.Join(
		a.add("log", func(c config.Config) any { return c.Log.Level }, a.buildLog),
		a.add("mqtt", brokerSection, a.buildBroker),
		a.add("camera", func(c config.Config) any { return c.Camera }, a.buildCamera),
	)
	a.addDecision(*a.config.Load())
	return errors.Join(err, a.add("meters", func(c config.Config) any { return c.Meters }, a.buildMeters))
}

func (a *Agent) buildLog(c config.Config) (*instance, error) {
	return &instance{activate: func() { a.env.Level.Set(settings.LogLevel(c.Log)) }, missing: worksAtOnce}, nil
}

// Run watches the furnace until ctx ends. It must be called once only. It returns an
// error if systemd cannot be notified or the outbox cannot be closed.
func (a *Agent) Run(ctx context.Context) error {
	a.reporter.resume()
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
	group.Go(func() error { a.reporter.healthLoop(ctx); return nil })
	group.Go(func() error { <-ctx.Done(); a.running.Stop(); return nil })
	return errors.Join(group.Wait(), a.closeOutbox())
}

// Once runs every part except the broker's for a while and returns the last state. It
// publishes nothing.
func (a *Agent) Once(ctx context.Context, wait time.Duration) (*message.State, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	var parts []*part
	for _, p := range a.parts {
		if p.name == "mqtt" {
			a.registry.Remove(p.name) // otherwise it would count as stuck
			continue
		}
		parts = append(parts, p)
	}
	a.parts = parts
	if err := a.Run(ctx); err != nil {
		return nil, err
	}
	verdict := a.reporter.newest.Load()
	if verdict == nil {
		return nil, fmt.Errorf("nothing was decided within %s: try --wait 60s, and meltwatch check", wait)
	}
	return verdict, nil
}

// log returns the logger of one part.
func (a *Agent) log(part string) *slog.Logger { return a.env.Log.With("part", part) }
