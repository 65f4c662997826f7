package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"meltwatch/simulator/dataset"
	"meltwatch/simulator/families"
	"meltwatch/simulator/furnace"
)

// datasetCommand is furnace-sim dataset.
type datasetCommand struct {
	Out      string   `required:"" type:"path" help:"Folder to write into."`
	Batches  int      `default:"20" help:"Number of melts."`
	Seconds  int      `default:"3600" help:"Length of each."`
	Seed     uint64   `default:"1" help:"The same seed gives the same data."`
	FPS      int      `name:"fps" default:"1" help:"Frames a second; a divisor of 50."`
	Life     string   `default:"mixed" enum:"mixed,normal,shift,hard" help:"mixed: many abnormal episodes; normal: none; shift: one or two in hours; hard: mixed, with episodes that show in one sense only."`
	Picture  []string `default:"${scene}" enum:"${pictures}" help:"Families of the pictures, in turn for each melt: ${enum}."`
	Current  []string `default:"${arcs}" enum:"${currents}" help:"Families of the current: a melt's first record takes the next one when the pictures have gone round, its further records those after it: ${enum}."`
	Scenario string   `type:"existingfile" help:"YAML file with the scenario, instead of --life: the melt that serve shows with the same --scenario and --seed. Needs --batches 1."`
	Reroll   int      `default:"0" help:"Further current records for the same video."`
	Train    float64  `default:"0.7" help:"Share of batches for training."`
	Val      float64  `default:"0.15" help:"Share of batches for choosing thresholds; the rest is for testing."`
	Workers  int      `default:"2" help:"Batches written at the same time."`
}

// Run writes the data set and prints its progress.
func (c datasetCommand) Run(ctx context.Context, out io.Writer) error {
	start := time.Now()
	var scenario furnace.Scenario
	if c.Scenario != "" {
		var err error
		if scenario, err = furnace.ReadScenario(c.Scenario); err != nil {
			return err
		}
	}
	err := dataset.Write(ctx, dataset.Options{
		Dir: c.Out, Batches: c.Batches, Seconds: c.Seconds, Seed: c.Seed, FPS: c.FPS,
		Life: furnace.Life(c.Life), Scenario: scenario, Reroll: c.Reroll, Pictures: others(c.Picture, families.Scene), Currents: others(c.Current, families.Arcs), Train: c.Train, Val: c.Val, Workers: c.Workers,
	}, func(done, total int, spent time.Duration) {
		left := time.Duration(float64(spent) / float64(done) * float64(total-done))
		fmt.Fprintf(os.Stderr, "\r%d of %d batches, %s left   ", done, total, left.Round(time.Second))
	})
	fmt.Fprintln(os.Stderr)
	if err != nil {
		return err
	}
	spent := time.Since(start)
	_, err = fmt.Fprintf(out, "%d batches of %d s in %s: %.0f simulated seconds a minute\n", c.Batches, c.Seconds,
		spent.Round(time.Second/10), float64(c.Batches*c.Seconds)/spent.Minutes())
	return err
}

// others is empty for the simulator's own family alone, whose data sets name none.
func others(names []string, own string) []string {
	if len(names) == 1 && names[0] == own {
		return nil
	}
	return names
}
