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
	Wait time.Duration `default:"35s" help:"How long to gather current and frames before deciding; 120s fills the window."`
}

// Run gathers both senses for a while, decides once, and prints the verdict. It
// publishes nothing.
func (c onceCommand) Run(ctx context.Context, o outside) error {
	settings, err := config.ReadTolerated(c.Config)
	if err != nil {
		return err
	}
	settings.Log.Level = "error"
	settings.Outbox.Enabled = false // it publishes nothing, and the agent may be running beside it
	env, err := newEnv(o.errOut, settings.Log)
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
