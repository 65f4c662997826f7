// Command furnace-sim simulates a fused-magnesium furnace: its current, its camera, and
// the truth about both.
package main

import (
	"strings"

	"meltwatch/commandline"
	"meltwatch/simulator/families"

	"github.com/alecthomas/kong"
)

// version is set by the build.
var version = "dev"

// cli is the command line.
type cli struct {
	Serve   serveCommand   `cmd:"" help:"Run a furnace in real time: its meter on Modbus TCP, its camera on RTSP. Example: furnace-sim serve --control 127.0.0.1:8555"`
	Dataset datasetCommand `cmd:"" help:"Write a data set to train and score on. Example: furnace-sim dataset --out data/train --batches 80 --seconds 3600 --seed 1"`
	Sheet   sheetCommand   `cmd:"" help:"Draw a contact sheet of what the camera sees. Example: furnace-sim sheet --out scenes.png"`
}

func main() {
	var c cli
	commandline.Main(commandline.Program{
		Name: "furnace-sim", Version: version, Description: "Simulate a fused-magnesium furnace.",
		Options: []kong.Option{variables()},
	}, &c)
}

// variables are the names that help texts and enumerations refer to.
func variables() kong.Vars {
	return kong.Vars{
		"arcs": families.Arcs, "currents": strings.Join(families.Currents(), ","),
		"scene": families.Scene, "pictures": strings.Join(families.Pictures(), ","),
	}
}
