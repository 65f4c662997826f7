package main

import (
	"context"
	"io"
	"os"
	"strings"
	"time"

	"meltwatch/bench/cluster"
	"meltwatch/bench/cost"
	"meltwatch/bench/crash"
	"meltwatch/bench/instructions"
	"meltwatch/bench/latency"
	"meltwatch/bench/listing"
	"meltwatch/bench/outage"
	"meltwatch/bench/parity"
	"meltwatch/bench/performance"
	"meltwatch/bench/performance/meter"
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
	Records int           `default:"1000000" help:"Least number of records."`
	Kills   int           `default:"200" help:"Least number of SIGKILLs of the sender."`
	Outages int           `default:"50" help:"Least number of outages of the broker."`
	Rate    int           `default:"4000" help:"Records a second."`
	Seed    uint64        `default:"1" help:"Draws the times of kills and outages."`
	Slack   time.Duration `default:"500ms" help:"Extends the contract's window on a busy machine."`
}

// Run prints the ledger and returns an error if the contract was broken.
func (c ledgerCommand) Run(ctx context.Context, out io.Writer) error {
	return crash.Options(c).Run(ctx, out)
}

type figuresCommand struct {
	programs
	Records int           `default:"1000000" help:"Waiting records in the outbox that is opened and drained."`
	Watch   time.Duration `default:"90s" help:"How long the plant is watched with and without a broker."`
	Folder  string        `help:"Folder of the measured outbox, not on a RAM disk; a temporary folder by default."`
	Into    string        `type:"existingfile" help:"Write the table into this page, between the lines <!-- figures --> and <!-- /figures -->."`
}

// Run prints the table and returns an error for each broken promise.
func (c figuresCommand) Run(ctx context.Context, out io.Writer) error {
	return throughput.Options{
		Programs: rig.Programs(c.programs), Records: c.Records, Watch: c.Watch, Folder: c.Folder, Into: c.Into,
	}.Run(ctx, out)
}

type clusterCommand struct {
	NATS    string        `name:"nats" default:"bin/nats-server" help:"The cluster's program, as scripts/nats.sh builds it."`
	Meltctl string        `default:"bin/meltctl" help:"The program meltctl."`
	Agents  int           `default:"30" help:"Agents in this process, with scripted senses."`
	Rarer   int           `default:"1" help:"Make each agent's messages this many times rarer, so that many agents fit on few cores."`
	Listed  int           `default:"1000" help:"Agents in retained topics that meltctl lists."`
	Steady  time.Duration `default:"60s" help:"How long the cost is measured."`
	Fault   time.Duration `default:"20s" help:"How long each fault lasts."`
	Pending int           `default:"1" help:"Messages that a node may send to a subscriber before their PUBACK."`
	Into    string        `type:"existingfile" help:"Write the tables into this page, between the lines <!-- cluster --> and <!-- /cluster -->, for rarer messages <!-- cluster-rarer -->."`
}

// Run prints the tables and returns an error for a broken promise.
func (c clusterCommand) Run(ctx context.Context, out io.Writer) error {
	return cluster.Options(c).Run(ctx, out)
}

type listingCommand struct {
	Meltctl string `default:"bin/meltctl" help:"The program meltctl."`
	Agents  int    `default:"1000" help:"Agents in retained topics."`
	Rounds  int    `default:"5" help:"How often they are listed."`
}

// Run prints how long a list takes and returns an error if an agent is missing from it.
func (c listingCommand) Run(ctx context.Context, out io.Writer) error {
	return listing.Options(c).Run(ctx, out)
}

type outageCommand struct {
	programs
	Telegraf string        `default:"bin/telegraf" help:"Telegraf, as scripts/telegraf.sh builds it."`
	Outage   time.Duration `default:"60s" help:"How long the broker is away; half-way through each sender is killed with SIGKILL and started again."`
	Logs     bool          `help:"Print the senders' logs too."`
	Into     string        `type:"existingfile" help:"Write the table into this page, between the lines <!-- outage --> and <!-- /outage -->."`
}

// Run puts every sender through the same outage and prints what arrived from each.
func (c outageCommand) Run(ctx context.Context, out io.Writer) error {
	return outage.Options{
		Programs: rig.Programs(c.programs), Telegraf: c.Telegraf, Outage: c.Outage, Logs: c.Logs, Into: c.Into,
	}.Run(ctx, out)
}

type agreeCommand struct {
	Minutes  float64 `default:"20" help:"Length of the melt in real time."`
	Episodes int     `default:"2" help:"Number of abnormal episodes."`
	Seed     uint64  `default:"1" help:"Draws furnace, noise and disturbances."`
	Python   string  `default:".deps/venv/bin/python" help:"Interpreter with the packages of training."`
	programs
}

// Run compares the decisions of the agent and of offline evaluation.
func (c agreeCommand) Run(ctx context.Context, out io.Writer) error {
	return parity.Options{
		Programs: rig.Programs(c.programs), Minutes: c.Minutes, Episodes: c.Episodes, Seed: c.Seed, Python: c.Python,
	}.Run(ctx, out)
}

type latencyCommand struct {
	Camera bool          `help:"With the camera and a picture in each window."`
	Watch  time.Duration `default:"60s" help:"How long samples and states are timed."`
	Starts int           `default:"5" help:"How often the agent is started."`
	programs
}

// Run prints the table.
func (c latencyCommand) Run(ctx context.Context, out io.Writer) error {
	return latency.Options{Programs: rig.Programs(c.programs), Camera: c.Camera, Watch: c.Watch, Starts: c.Starts}.Run(ctx, out)
}

type costCommand struct {
	Watch   time.Duration `default:"60s" help:"How long each setting is watched in a round."`
	Rounds  int           `default:"3" help:"Rounds in which the settings take turns; 0 writes the page from the results alone."`
	Viewers int           `default:"3" help:"Viewers of the page."`
	programs
}

// Run prints the table.
func (c costCommand) Run(ctx context.Context, out io.Writer) error {
	return cost.Options{Programs: rig.Programs(c.programs), Watch: c.Watch, Rounds: c.Rounds, Viewers: c.Viewers}.Run(ctx, out)
}

type soakCommand struct {
	Minutes float64 `default:"20" help:"Length in minutes."`
	programs
}

// Run prints what arrived and what the programs used.
func (c soakCommand) Run(ctx context.Context, out io.Writer) error {
	return soak.Options{Programs: rig.Programs(c.programs), Minutes: c.Minutes}.Run(ctx, out)
}

type performanceCommand struct {
	Telegraf string        `default:"bin/telegraf" help:"Telegraf, as scripts/telegraf.sh builds it."`
	Every    string        `default:"bin/bench-every" help:"The program that decodes every frame, as make bench builds it."`
	Parts    []string      `help:"Parts to measure: meter, client, camera, verdict, outbox, box, many; all but the last two by default."`
	Rounds   int           `default:"3" help:"Rounds in which ours, the peers and the limits take turns."`
	Limit    time.Duration `default:"20m" help:"Stop after this time. The next run goes on where it stopped."`
	Brief    bool          `help:"Measure for a fifth of the time, to see that it works. Its figures scatter."`
	Results  string        `default:"bin/bench-results" help:"Folder of the results. A round that it holds is not measured again."`
	Into     string        `help:"Page to write; printed by default."`
	programs
}

// Run measures what is missing, and writes the page.
func (c performanceCommand) Run(ctx context.Context, out io.Writer) error {
	return performance.Options{
		Programs: rig.Programs(c.programs), Telegraf: c.Telegraf, Every: c.Every, Parts: c.Parts, Rounds: c.Rounds, Limit: c.Limit, Brief: c.Brief,
		Results: c.Results, Into: c.Into, Version: strings.TrimSuffix(version, "-dirty"), Command: "bin/bench " + strings.Join(os.Args[1:], " "),
	}.Run(ctx, out)
}

type instructionsCommand struct {
	Counter string        `default:"bin/counter.so" help:"QEMU's plugin that counts, as scripts/instructions.sh builds it."`
	Arm64   string        `default:"bin/arm64" help:"Folder of arm64's programs, as scripts/instructions.sh builds them."`
	Root    string        `default:"/usr/aarch64-linux-gnu" help:"Folder of arm64's C library."`
	Watch   time.Duration `default:"60s" help:"How long each setting is watched."`
	Calls   int           `default:"100" help:"Calls of each function of the model."`
	programs
}

// Run prints the tables.
func (c instructionsCommand) Run(ctx context.Context, out io.Writer) error {
	return instructions.Options{
		Programs: rig.Programs(c.programs), Counter: c.Counter, Arm64: c.Arm64, Root: c.Root, Watch: c.Watch, Calls: c.Calls, Progress: os.Stderr,
	}.Run(ctx, out)
}

// bareCommand is the limit that the performance bench compares with.
type bareCommand struct {
	Meter  string        `arg:"" help:"URL of the meter."`
	Broker string        `arg:"" help:"URL of the broker."`
	Period time.Duration `arg:"" help:"Interval of the polls."`
}

// Run reads and publishes until it is ended.
func (c bareCommand) Run(ctx context.Context) error { return meter.Bare(c).Run(ctx) }
