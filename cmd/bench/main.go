// Command bench tests the agent's promises about delivery with real processes, brokers
// and disks, and measures them. Each command prints a section of a report as Markdown and
// fails if a promise was broken.
package main

import (
	"os"

	"meltwatch/bench/rig"
	"meltwatch/commandline"
)

// version is set by the build.
var version = "dev"

// cli is the command line.
type cli struct {
	Ledger       ledgerCommand       `cmd:"" help:"Kill the sender and stop the broker, hundreds of times, and count what arrives. Example: bench ledger --records 1000000 --kills 200 --outages 50"`
	Figures      figuresCommand      `cmd:"" help:"Measure the delivery to the subscriber: speed, memory, latency, writes to flash. Example: bench figures --into docs/reliability.md"`
	Outage       outageCommand       `cmd:"" help:"Put the agent and Telegraf through the same outage and count what arrives from each. Example: bench outage --into docs/reliability.md"`
	Agree        agreeCommand        `cmd:"" help:"Run one melt through camera, meter and agent in real time, and through offline evaluation; compare second by second. Example: bench agree --minutes 6 --episodes 1"`
	Listing      listingCommand      `cmd:"" help:"Measure how long meltctl list takes with many agents. Example: bench listing --agents 1000"`
	Cluster      clusterCommand      `cmd:"" help:"Put a fleet on a cluster of three nats-servers and take nodes away: what is lost, how long a furnace is silent, what it costs. Example: bench cluster --agents 30"`
	Cost         costCommand         `cmd:"" help:"Measure what the recorder and the page cost: processor time, memory, disk. Example: bench cost"`
	Latency      latencyCommand      `cmd:"" help:"Measure how soon the agent tells: start to first message, sample to subscriber, newest sample to state. Example: bench latency --camera"`
	Performance  performanceCommand  `cmd:"" help:"Compare speed with peers and with the limit, side by side in one run, and write the page of it. Example: bench performance --parts meter --rounds 3 --into docs/performance.md"`
	Instructions instructionsCommand `cmd:"" help:"Count what the agent and the model's process execute on amd64 and on arm64, in an emulator, and estimate the load of boards from it. Example: bench instructions --watch 60s"`
	Bare         bareCommand         `cmd:"" hidden:"" help:"Read a meter and publish it with nothing beside: the limit of the performance bench."`
	Soak         soakCommand         `cmd:"" help:"Run every program for minutes or hours, with outages; watch memory, goroutines, descriptors and the outbox. Example: bench soak --minutes 240"`
}

func main() {
	if status, isWorker := rig.RunWorker(); isWorker {
		os.Exit(status)
	}
	var c cli
	commandline.Main(commandline.Program{
		Name: "bench", Version: version, Description: "Test and measure the agent's promises about delivery.",
	}, &c)
}
