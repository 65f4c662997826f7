// Command bench puts the agent's promises about delivery to the proof, with real
// processes, brokers and disks, and measures them. Each command prints a section
// of a report as Markdown and fails when a promise was broken.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"meltwatch/bench/rig"
)

// cli is the command line.
type cli struct {
	Ledger  ledgerCommand  `cmd:"" help:"Kill the sender and take the broker away, hundreds of times, and count what arrives. Example: bench ledger --records 1000000 --kills 200 --outages 50"`
	Figures figuresCommand `cmd:"" help:"Measure speed, memory, latency and flash of the way to the subscriber. Example: bench figures --into docs/reliability.md"`
	Outage  outageCommand  `cmd:"" help:"Lead the agent and Telegraf through the same outage and count what arrives from each. Example: bench outage --into docs/reliability.md"`
	Agree   agreeCommand   `cmd:"" help:"Lead one melt through camera, meter and agent in real time, and the same one through offline judging; compare second by second. Example: bench agree --minutes 6 --episodes 1"`
	Soak    soakCommand    `cmd:"" help:"Let every program run for minutes or hours, with outages, and watch memory, goroutines, descriptors and the outbox. Example: bench soak --minutes 240"`
}

func main() {
	if status, isWorker := rig.RunWorker(); isWorker {
		os.Exit(status)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var c cli
	k := kong.Parse(&c,
		kong.Name("bench"),
		kong.Description("Proof and measurement of what the agent promises about delivery."),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.BindTo(os.Stdout, (*io.Writer)(nil)))
	if err := k.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}
