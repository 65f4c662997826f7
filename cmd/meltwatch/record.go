package main

import (
	"context"
	"time"

	"meltwatch/agent"
	"meltwatch/config"
)

type recordCommand struct {
	configFlag
	Out string        `required:"" placeholder:"DIR" help:"Folder to record into."`
	For time.Duration `placeholder:"DURATION" help:"How long; until interrupted by default."`
}

// Help is the second part of the command's help.
func (recordCommand) Help() string {
	return `Nothing is published, and the bounds of the section recorder hold.

Examples:
  meltwatch record -c furnace.yaml --out melt-17 --for 3h`
}

// Run records until the time is over or ctx ends.
func (c recordCommand) Run(ctx context.Context, o outside) error {
	s, err := config.ReadTolerated(c.Config)
	if err != nil {
		return err
	}
	s.Recorder.Enabled, s.Paths.Recordings, s.Outbox.Enabled, s.Web.Listen, s.Metrics.Listen = true, c.Out, false, "", ""
	env, err := newEnv(o.errOut, s.Log, logFlags{})
	if err != nil {
		return err
	}
	a, err := agent.NewFixed(s, env)
	if err != nil {
		return err
	}
	if c.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.For)
		defer cancel()
	}
	return a.Record(ctx)
}
