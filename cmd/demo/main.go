// Command demo shows the main job running on one machine, every part real.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"meltwatch/simulator/demo"
)

// cli is the command line.
type cli struct {
	Seconds int    `env:"DEMO_SECONDS" default:"480" help:"How long to run."`
	Bin     string `default:"bin" help:"Folder of the agent's programs."`
	Model   string `default:"inference/models/product" help:"Folder of the model."`
	Keep    bool   `help:"Keep the working folder with the agent's log."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var c cli
	kong.Parse(&c, kong.Name("demo"), kong.Description("Show the main job running, every part real."))
	if err := demo.Options(c).Run(ctx, os.Stdout); err != nil {
		// The last line begins with demo: on standard output, whatever happened.
		_, _ = fmt.Fprintln(os.Stdout, "demo: FAILED:", err)
		stop()
		os.Exit(1)
	}
}
