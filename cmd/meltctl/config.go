package main

import (
	"context"
	"io"
	"time"

	"meltwatch/fleet"
)

type configCommand struct {
	Get      configGet      `cmd:"" help:"Print the desired configuration of each agent and its report."`
	Set      configSet      `cmd:"" help:"Apply a JSON merge patch over the own file of each chosen agent."`
	Diff     configDiff     `cmd:"" help:"Print the settings in which a patch differs from the desired configuration."`
	Rollback configRollback `cmd:"" help:"Restore the desired configuration from before the last change."`
}

type configGet struct {
	brokerFlags
	Agents string `arg:"" help:"Agents: all, plant-1/f07, or a pattern such as plant-1/*."`
}

// Run prints both topics of each agent.
func (c configGet) Run(ctx context.Context, out io.Writer) error {
	return c.fleet(out).PrintConfig(ctx, c.Agents)
}

// keyFlags are fleet.Signer on the command line.
type keyFlags struct {
	KeyFile string `name:"key" type:"existingfile" help:"Private key to sign with, as meltwatch model keygen wrote it."`
	KeyName string `help:"Name under which the boxes know the key."`
	Record  string `help:"File that remembers which revisions the key has signed; KEY.revisions beside the key by default."`
}

// changeFlags are what set and rollback share.
type changeFlags struct {
	brokerFlags
	stageFlags
	keyFlags
	Deadline time.Duration `default:"60s" help:"How long changed parts may take to work."`
	Revision int64         `help:"Revision of the document; the one after the last by default."`
}

func (c changeFlags) change() fleet.Change {
	return fleet.Change{
		Stages: fleet.Stages(c.stageFlags), Signer: fleet.Signer(c.keyFlags), Deadline: c.Deadline, Revision: c.Revision,
	}
}

type configSet struct {
	changeFlags
	Agents string `arg:"" help:"Agents: all, plant-1/f07, or a pattern such as plant-1/*."`
	Patch  string `arg:"" type:"existingfile" help:"File with the JSON merge patch; {} leaves the box's own file alone."`
}

// Run changes the agents stage by stage.
func (c configSet) Run(ctx context.Context, out io.Writer) error {
	patch, err := fleet.ReadPatch(c.Patch)
	if err != nil {
		return err
	}
	return c.fleet(out).SetConfig(ctx, c.Agents, patch, c.change())
}

type configRollback struct {
	changeFlags
	Agents string `arg:"" help:"Agents: all, plant-1/f07, or a pattern such as plant-1/*."`
}

// Run restores the patch before the last one, or the box's own file if there was none.
func (c configRollback) Run(ctx context.Context, out io.Writer) error {
	return c.fleet(out).RollBackConfig(ctx, c.Agents, c.change())
}

type configDiff struct {
	brokerFlags
	Agents string `arg:"" help:"Agents: all, plant-1/f07, or a pattern such as plant-1/*."`
	Patch  string `arg:"" type:"existingfile" help:"File with the JSON merge patch."`
}

// Run prints a line for each setting that differs.
func (c configDiff) Run(ctx context.Context, out io.Writer) error {
	patch, err := fleet.ReadPatch(c.Patch)
	if err != nil {
		return err
	}
	return c.fleet(out).DiffConfig(ctx, c.Agents, patch)
}
