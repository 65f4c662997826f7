package main

import (
	"context"
	"encoding/json"
	"time"

	"meltwatch/agent"
	"meltwatch/config"
)

type onceCommand struct {
	configFlag
	Wait time.Duration `default:"35s" help:"How long to collect current and frames before deciding; 120s fills the window."`
}

// Run collects current and frames for a while, and prints the last verdict. It
// publishes nothing.
func (c onceCommand) Run(ctx context.Context, o outside) error {
	settings, err := config.ReadTolerated(c.Config)
	if err != nil {
		return err
	}
	settings.Log.Level = "error"
	settings.Recorder.Enabled = false
	settings.Web.Listen = ""
	settings.Outbox.Enabled = false // nothing is published, and a running agent may hold the outbox
	env, err := newEnv(o.errOut, settings.Log, logFlags{})
	if err != nil {
		return err
	}
	a, err := agent.NewFixed(settings, env)
	if err != nil {
		return err
	}
	verdict, err := a.Once(ctx, c.Wait)
	if err != nil {
		return err
	}
	out := json.NewEncoder(o.out)
	out.SetIndent("", "  ")
	return out.Encode(verdict)
}
