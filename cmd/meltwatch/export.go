package main

import (
	"context"
	"fmt"
	"time"

	"meltwatch/agent/recorder"
	"meltwatch/agent/settings"
	"meltwatch/config"
)

type exportCommand struct {
	recordingFlags
	Out    string `required:"" placeholder:"DIR" help:"Folder to write; it must not exist."`
	Normal bool   `help:"Count seconds without a label as normal. Without it they are not scored."`
}

// Help is the second part of the command's help.
func (exportCommand) Help() string {
	return `Writes layout V2 of docs/own-data.md: a batch for each labelled stretch without a gap of 10 s, an hour long at most. Of five
batches one is kept for validation and one for the test. Labels come from the page.

Examples:
  meltwatch export -c furnace.yaml --out data/own
  meltwatch export -c furnace.yaml --out data/own-normal --normal --from 2026-11-20T00:00:00Z --to 2026-11-21T00:00:00Z`
}

// Run writes the data set, and prints a line a batch.
func (c exportCommand) Run(ctx context.Context, o outside) error {
	folder := c.Folder
	if folder == "" {
		s, err := config.ReadTolerated(c.Config)
		if err != nil {
			return err
		}
		folder = settings.RecordingsFolder(s)
	}
	r, err := c.open(folder)
	if err != nil {
		return err
	}
	done, err := recorder.ExportContext(ctx, r.library, r.labels, r.from, r.to, c.Out, c.Normal)
	if err != nil {
		return fmt.Errorf("export to %s: %w", c.Out, err)
	}
	for _, s := range done {
		if _, err := fmt.Fprintf(o.out, "%-5s  %s  %s  %d pictures, %d readings, %d labelled seconds, %d of them abnormal\n",
			s.Split, s.Name, s.To.Sub(s.From).Round(time.Second), s.Frames, s.Samples, s.Labelled, s.Abnormal); err != nil {
			return err
		}
	}
	if c.Normal {
		return nil
	}
	return warn(o, done)
}

// warn names the splits that lack a class, which the trainer's check refuses.
func warn(o outside, done []recorder.Stretch) error {
	for _, split := range []string{"train", "val", "test"} {
		normal, abnormal := 0, 0
		for _, s := range done {
			if s.Split == split {
				normal, abnormal = normal+s.Labelled-s.Abnormal, abnormal+s.Abnormal
			}
		}
		for class, seconds := range map[string]int{"normal": normal, "abnormal": abnormal} { // in any order
			if seconds > 0 {
				continue
			}
			if _, err := fmt.Fprintf(o.errOut, "%s.json has no %s second: label more stretches of that class, at least three minutes apart, and export again\n", split, class); err != nil {
				return err
			}
		}
	}
	return nil
}
