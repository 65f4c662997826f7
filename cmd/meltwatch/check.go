package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"meltwatch/agent/check"
)

type checkCommand struct {
	configFlag
	Only    []string      `placeholder:"NAME,…" help:"Check these alone. A fault of what they depend on is printed too."`
	JSON    bool          `name:"json" help:"Print one JSON object a line: check, status (ok, warn, fail, skip), key, detail."`
	Offline bool          `help:"Check the configuration and the model's manifest only, without the machine, devices and broker."`
	Timeout time.Duration `default:"15s" help:"How long each check may take; the camera has 10 s more."`
}

// Help is the second part of the command's help.
func (checkCommand) Help() string {
	return `A running agent is not disturbed. Every line is printed, whatever fails: ok, warn (the agent works, but not as well
as it could), FAIL (with the setting and what to do), skip (not checked, with the reason).

The checks, for --only: ` + strings.Join(check.Names(), ", ") + `.

Exit status: 0 if no line is FAIL, 1 if one is, 2 if the command line is wrong.

Examples:
  meltwatch check -c furnace.yaml
  meltwatch check -c furnace.yaml --only meters,broker
  meltwatch check --json | jq -r 'select(.status == "fail") | .key'`
}

// Validate refuses unknown names and an invalid timeout as a wrong command line.
func (c checkCommand) Validate() error {
	for _, name := range c.Only {
		if !slices.Contains(check.Names(), name) {
			return fmt.Errorf("--only: unknown check %q: name some of %s", name, strings.Join(check.Names(), ", "))
		}
	}
	if c.Timeout <= 0 {
		return fmt.Errorf("--timeout: %s is invalid: set it above 0, such as 15s", c.Timeout)
	}
	return nil
}

var errCheck = errors.New("the check found faults; see above")

// Run prints one line for each thing that must work, and fails if one does not.
func (c checkCommand) Run(ctx context.Context, o outside) error {
	options := check.Options{Path: c.Config, Only: c.Only, JSON: c.JSON, Offline: c.Offline, Timeout: c.Timeout}
	if !check.Run(ctx, options, o.out) {
		return errCheck
	}
	return nil
}
