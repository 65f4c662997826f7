// Command furnace-sim simulates a fused-magnesium furnace: its current, its camera, and
// the truth about both.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"meltwatch/simulator/families"

	"github.com/alecthomas/kong"
)

// cli is the command line.
type cli struct {
	Serve   serveCommand   `cmd:"" help:"Run a furnace in real time: its meter on Modbus TCP, its camera on RTSP. Example: furnace-sim serve --control 127.0.0.1:8555"`
	Dataset datasetCommand `cmd:"" help:"Write a data set to train and score on. Example: furnace-sim dataset --out data/train --batches 80 --seconds 3600 --seed 1"`
	Sheet   sheetCommand   `cmd:"" help:"Draw a contact sheet of what the camera sees. Example: furnace-sim sheet --out scenes.png"`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var c cli
	k := kong.Parse(&c,
		kong.Name("furnace-sim"),
		kong.Description("Simulate a fused-magnesium furnace."),
		variables(),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.BindTo(os.Stdout, (*io.Writer)(nil)))
	if err := k.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "furnace-sim:", err)
		os.Exit(1)
	}
}

// variables are the names that help texts and enumerations refer to.
func variables() kong.Vars {
	return kong.Vars{
		"arcs": families.Arcs, "currents": strings.Join(families.Currents(), ","),
		"scene": families.Scene, "pictures": strings.Join(families.Pictures(), ","),
	}
}
