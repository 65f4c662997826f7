package main

import (
	"context"
	"io"
	"time"

	"meltwatch/bench/crash"
	"meltwatch/bench/outage"
	"meltwatch/bench/parity"
	"meltwatch/bench/rig"
	"meltwatch/bench/soak"
	"meltwatch/bench/throughput"
)

// programs are rig.Programs on the command line.
type programs struct {
	Bin   string `default:"bin" help:"Folder of the programs."`
	Model string `default:"inference/models/product" help:"Folder of the model."`
}

type ledgerCommand struct {
	Records int           `default:"1000000" help:"How many records to make, at least."`
	Kills   int           `default:"200" help:"How often to kill the sender with SIGKILL, at least."`
	Outages int           `default:"50" help:"How often to take the broker away, at least."`
	Rate    int           `default:"4000" help:"Records a second."`
	Seed    uint64        `default:"1" help:"Of the moments."`
	Slack   time.Duration `default:"500ms" help:"What a record may take beyond the contract's window."`
}

// Run prints the ledger and fails unless it balances.
func (c ledgerCommand) Run(ctx context.Context, out io.Writer) error {
	return crash.Options(c).Run(ctx, out)
}

type figuresCommand struct {
	programs
	Records int           `default:"1000000" help:"How many records wait in the outbox that is opened and drained."`
	Watch   time.Duration `default:"90s" help:"How long the plant is watched, with the broker there and without."`
	Folder  string        `help:"Where the outbox is measured; a temporary folder by default, which must not be a RAM disk."`
	Into    string        `type:"existingfile" help:"Write the table into this page, between the lines <!-- figures --> and <!-- /figures -->."`
}

// Run prints the table, and fails where a promise is not kept.
func (c figuresCommand) Run(ctx context.Context, out io.Writer) error {
	return throughput.Options{
		Programs: rig.Programs(c.programs), Records: c.Records, Watch: c.Watch, Folder: c.Folder, Into: c.Into,
	}.Run(ctx, out)
}

type outageCommand struct {
	programs
	Telegraf string        `default:"bin/telegraf" help:"Telegraf, as scripts/telegraf.sh builds it."`
	Outage   time.Duration `default:"60s" help:"How long the broker is away; half-way through each sender is killed with SIGKILL and started again."`
	Logs     bool          `help:"Print what the senders logged, too."`
	Into     string        `type:"existingfile" help:"Write the table into this page, between the lines <!-- outage --> and <!-- /outage -->."`
}

// Run leads every sender through the same outage and prints what arrived from each.
func (c outageCommand) Run(ctx context.Context, out io.Writer) error {
	return outage.Options{
		Programs: rig.Programs(c.programs), Telegraf: c.Telegraf, Outage: c.Outage, Logs: c.Logs, Into: c.Into,
	}.Run(ctx, out)
}

type agreeCommand struct {
	Minutes  float64 `default:"20" help:"Length of the melt, which runs in real time."`
	Episodes int     `default:"2" help:"How often the shell gives way in it."`
	Seed     uint64  `default:"1" help:"Draws furnace, noise and disturbances."`
	Python   string  `default:".deps/venv/bin/python" help:"Interpreter with the packages of training."`
	programs
}

// Run compares what the agent and offline judging decided of each second of a melt.
func (c agreeCommand) Run(ctx context.Context, out io.Writer) error {
	return parity.Options{
		Programs: rig.Programs(c.programs), Minutes: c.Minutes, Episodes: c.Episodes, Seed: c.Seed, Python: c.Python,
	}.Run(ctx, out)
}

type soakCommand struct {
	Minutes float64 `default:"20" help:"How long."`
	programs
}

// Run prints what arrived and what every program took.
func (c soakCommand) Run(ctx context.Context, out io.Writer) error {
	return soak.Options{Programs: rig.Programs(c.programs), Minutes: c.Minutes}.Run(ctx, out)
}
