package agent

import (
	"context"
	"path/filepath"
	"time"

	"meltwatch/agent/message"
	"meltwatch/agent/remote"
	"meltwatch/agent/remote/rollout"
	"meltwatch/agent/stamp"
	"meltwatch/config"
)

// remoteLimit is the limit of the configuration manager's loop, which waits for
// replaced parts to end; the slowest of them waits for a disk.
const remoteLimit = 45 * time.Second

// Source is the local configuration.
type Source struct {
	// Path is the file, which Reload reads again; Document is its content at the start.
	Path     string
	Document []byte
}

// New builds an agent whose configuration and model may change while it runs. It starts
// nothing.
func New(own Source, env Env) (*Agent, error) {
	c, _, err := config.Tolerate(own.Document)
	if err != nil {
		return nil, err
	}
	var a *Agent
	manager, now, err := remote.Open(remote.Settings{
		Files:      env.Files(filepath.Join(c.Paths.State, "remote")),
		KernelBoot: env.KernelBoot,
		Root:       message.Root(c.Site, c.Furnace),
		ReadLocal:  func() ([]byte, error) { return config.Text(own.Path) },
		Report:     func(r message.ConfigReport) { a.reporter.Configuration(r) },
		Log:        env.Log.With("part", "remote"),
	}, own.Document)
	if err != nil {
		return nil, err
	}
	models, model := openModels(c, env, func(r message.ModelReport) { a.reporter.RollOut(r) })
	stamper := stamp.New(env.Files(now.Paths.State), env.Clock, env.KernelBoot, env.Instance)
	if a, err = build(now, model, stamper, env); err != nil {
		return nil, err
	}
	a.manager = manager
	if err := a.addRemote(models); err != nil {
		return nil, err
	}
	return a, nil
}

// addRemote adds the managers of configuration and model, and the command server.
func (a *Agent) addRemote(models *rollout.Manager) error {
	if err := a.add("models", modelSection, a.buildLimits(models)); err != nil {
		return err
	}
	if err := a.addCommands(); err != nil {
		return err
	}
	a.out.Subscribe(message.TopicConfigDesired, func(_ string, payload []byte) { a.manager.Desired(payload) })
	a.out.Subscribe(message.TopicModelDesired, func(_ string, payload []byte) { models.Desired(payload) })
	a.out.Subscribe(message.TopicModelChunk, receiveChunk(models))
	a.out.Configure(a.out.Active())
	record, modelRecord := a.registry.Add("remote", remoteLimit), a.registry.Add("models", modelsLimit)
	a.services = append(a.services,
		service{"remote", func(ctx context.Context) error { return a.manager.Run(ctx, a, record) }},
		service{"models", func(ctx context.Context) error { return models.Run(ctx, a, modelRecord) }})
	return nil
}

// Reload makes a running agent read its file again.
func (a *Agent) Reload() { a.manager.Reload() }
