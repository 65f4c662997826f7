package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"meltwatch/agent/message"
	"meltwatch/config"
)

type onceCommand struct {
	configFlag
	Wait time.Duration `default:"35s" help:"How long to gather current and frames before deciding; 120s fills the window."`
}

// Run gathers both senses for a while, decides once, and prints the verdict. It
// publishes nothing.
func (c onceCommand) Run(o outside) error {
	settings, err := config.ReadTolerated(c.Config)
	if err != nil {
		return err
	}
	settings.Log.Level = "error"
	settings.Outbox.Enabled = false // it publishes nothing, and the agent may be running beside it
	log, level := newLog(o.errOut, settings.Log)
	a, err := newAgent(settings, settings.Model.Path, log, level)
	if err != nil {
		return err
	}
	verdict, err := a.once(o.ctx, c.Wait)
	if err != nil {
		return err
	}
	out := json.NewEncoder(o.out)
	out.SetIndent("", "  ")
	return out.Encode(verdict)
}

// once runs every part but the broker's for a while and returns the last state.
func (a *agent) once(ctx context.Context, wait time.Duration) (*message.State, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	var parts []*part
	for _, p := range a.parts {
		if p.name == "mqtt" {
			a.board.Remove(p.name) // it is not stuck, it is not here
			continue
		}
		parts = append(parts, p)
	}
	a.parts = parts
	if err := a.run(ctx); err != nil {
		return nil, err
	}
	verdict := a.reporter.newest.Load()
	if verdict == nil {
		return nil, fmt.Errorf("nothing was decided within %s: try --wait 60s, and meltwatch check", wait)
	}
	return verdict, nil
}
