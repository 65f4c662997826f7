package main

import (
	"context"
	"errors"
	"time"

	"meltwatch/agent/check"
	"meltwatch/config"
)

type checkCommand struct {
	configFlag
	Offline bool          `help:"Check the configuration file only, without devices and broker."`
	Timeout time.Duration `default:"15s" help:"How long each device may take to answer."`
}

var errCheck = errors.New("the check found faults; see above")

// Run prints one line for each thing that must work, and fails if one does not.
func (c checkCommand) Run(ctx context.Context, o outside) error {
	settings, err := config.Read(c.Config)
	if err != nil {
		return err
	}
	if !check.Run(ctx, check.Options{Config: settings, Path: c.Config, Offline: c.Offline, Timeout: c.Timeout}, o.out) {
		return errCheck
	}
	return nil
}
