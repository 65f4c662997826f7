package main

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"meltwatch/agent"
	"meltwatch/agent/compare"
	"meltwatch/agent/recorder"
	"meltwatch/durable"
)

type compareCommand struct {
	recordingFlags
	Candidate string `arg:"" type:"existingdir" help:"Model folder of the candidate, with manifest.json."`
	With      string `placeholder:"DIR" type:"existingdir" help:"Model folder to compare with, instead of the model in force."`
	JSON      bool   `name:"json" xor:"print" help:"Print the comparison as JSON."`
	Progress  bool   `xor:"print" help:"Print one JSON object a line: the seconds done, and of how many."`
}

// Help is the second part of the command's help.
func (compareCommand) Help() string {
	return `Both models decide the labelled stretches that begin in the selected part of the recording: which are found and after how long, false alarms, seconds
right, and where the two differ. Do this after a retraining, before the model is rolled out. The result is kept as
comparison.json in the folder of the recording, where the page shows it. The command runs at the lowest priority; a running
agent is not disturbed.

Examples:
  meltwatch compare -c furnace.yaml models/own
  meltwatch compare -c furnace.yaml models/own --folder recordings/f07 --from 2026-11-24T00:00:00Z --json`
}

// done is a line of --progress.
type done struct {
	Done int `json:"done"`
	Of   int `json:"of"`
}

// Run compares, keeps the result, and prints it.
func (c compareCommand) Run(ctx context.Context, o outside) error {
	r, s, env, err := c.openAside(o)
	if err != nil {
		return err
	}
	if c.With == "" {
		c.With = agent.ModelInForce(s, env)
	}
	labels := slices.DeleteFunc(r.labels, func(l recorder.Label) bool {
		return c.From != "" && l.From.Before(r.from) || c.To != "" && !l.From.Before(r.to)
	})
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	out, last := json.NewEncoder(o.out), time.Time{}
	result, err := agent.Compare(ctx, s, env, c.With, c.Candidate, r.library, labels, func(seconds, of int) {
		const often = 500 * time.Millisecond
		if !c.Progress || time.Since(last) < often {
			return
		}
		last = time.Now()
		if err := out.Encode(done{seconds, of}); err != nil {
			cancel(err) // who asked is gone
		}
	})
	if err == nil {
		err = compare.Write(durable.Folder(r.folder), result)
	}
	switch {
	case err != nil || c.Progress:
		return err
	case c.JSON:
		out.SetIndent("", "  ")
		return out.Encode(result)
	default:
		return compare.Table(o.out, result)
	}
}
