package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"meltwatch/agent/beside"
	"meltwatch/agent/check"
	"meltwatch/config"
)

type probeConfigured struct {
	configFlag
	JSON bool `name:"json" help:"Print one JSON object a line: first of the meters, then of the camera."`
}

// Help is printed below the command's flags.
func (probeConfigured) Help() string {
	return `It asks what the file names, as the page does with "Probe": the meters, then the camera, within 45 s. It opens a connection
of its own beside that of a running agent, one at a time, runs at the lowest priority, and leaves serial lines alone. A
connection to a meter that was refused or closed is opened once more at most. A refused log-in counts in camera-logins.json.

Exit status: 0 if no line is FAIL, 1 if one is, 2 if the command line is wrong.

Examples:
  meltwatch probe configured -c furnace.yaml
  meltwatch probe configured --json | jq -r '.findings[] | select(.status == "fail") | .detail'`
}

var errConfigured = errors.New("the probe found faults; see above")

// Run probes the devices of the configuration and prints what it found.
func (c probeConfigured) Run(ctx context.Context, o outside) error {
	if err := yieldToTheWatch(); err != nil {
		return err
	}
	s, err := config.ReadTolerated(c.Config)
	if err != nil {
		return err
	}
	return printBeside(ctx, s, c.JSON, o)
}

func printBeside(ctx context.Context, s config.Config, asJSON bool, o outside) error {
	failed := false
	err := check.Beside(ctx, s, func(p beside.Part) error {
		failed = failed || slices.ContainsFunc(p.Findings, func(f beside.Finding) bool { return f.Status == beside.Fail })
		if asJSON {
			out := json.NewEncoder(o.out)
			out.SetEscapeHTML(false)
			return out.Encode(p)
		}
		return printPart(o, p)
	})
	if err == nil && failed {
		return errConfigured
	}
	return err
}

// printPart writes the lines of a part as meltwatch check does.
func printPart(o outside, p beside.Part) error {
	for _, f := range p.Findings {
		mark, where := f.Status, ""
		if f.Status == beside.Fail {
			mark = "FAIL"
		}
		if f.Key != "" {
			where = f.Key + ": "
		}
		if _, err := fmt.Fprintf(o.out, "%-4s %-10s %s%s\n", mark, p.Name, where, f.Detail); err != nil {
			return err
		}
	}
	if p.Stream != nil && p.Stream.YAML != "" {
		_, err := fmt.Fprintf(o.out, "\n%s\n", strings.TrimSuffix(p.Stream.YAML, "\n"))
		return err
	}
	return nil
}
