// Meltwatch watches one electric furnace: it reads the three-phase current over
// Modbus and frames from an RTSP camera, decides each second with a TensorFlow
// model whether the furnace is abnormal, and publishes the state over MQTT.
//
// This package is the command line alone; package agent is the watch.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"meltwatch/agent"
	"meltwatch/agent/settings"
	"meltwatch/config"
)

// version is set by the build.
var version = "dev"

type commands struct {
	Run     runCommand     `cmd:"" help:"Watch the furnace until told to stop."`
	Check   checkCommand   `cmd:"" help:"Check the configuration, the meters, the camera, the model and the broker: one line each."`
	Reload  reloadCommand  `cmd:"" help:"Have the running agent read its configuration file again."`
	Probe   probeCommand   `cmd:"" help:"Find out what a meter gives, and print the configuration for it."`
	Once    onceCommand    `cmd:"" help:"Decide once and print the verdict as JSON."`
	Outbox  outboxCommand  `cmd:"" help:"Look into what no broker has acknowledged yet."`
	Model   modelCommand   `cmd:"" help:"Make, sign and check model packages."`
	Version versionCommand `cmd:"" help:"Print the version."`
}

// configFlag is the flag that run, check and once share.
type configFlag struct {
	Config string `short:"c" default:"/etc/meltwatch/meltwatch.yaml" placeholder:"FILE" help:"Configuration file (${default}); config/sample.yaml shows every setting."`
}

// outside is what a command needs of the world around it.
type outside struct {
	out    io.Writer
	errOut io.Writer
}

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run(o outside) error {
	_, err := fmt.Fprintln(o.out, "meltwatch", version)
	return err
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var c commands
	parsed := kong.Parse(&c,
		kong.Name("meltwatch"),
		kong.Description("An agent beside an electric furnace: current and picture in, furnace state out over MQTT.\n\nExamples:\n  meltwatch check -c furnace.yaml\n  meltwatch run -c furnace.yaml\n  meltwatch once -c furnace.yaml --wait 40s\n  meltwatch outbox stat -c furnace.yaml"),
		kong.UsageOnError(),
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	if err := parsed.Run(outside{os.Stdout, os.Stderr}); err != nil {
		fmt.Fprintln(os.Stderr, "meltwatch:", err)
		stop()
		os.Exit(1)
	}
}

// newEnv is this machine, with a log to w as the configuration wants it.
func newEnv(w io.Writer, c config.Log) (agent.Env, error) {
	level := &slog.LevelVar{}
	level.Set(settings.LogLevel(c))
	options := &slog.HandlerOptions{Level: level}
	var handler slog.Handler = slog.NewTextHandler(w, options)
	if c.Format == "json" {
		handler = slog.NewJSONHandler(w, options)
	}
	return agent.Host(slog.New(handler), level, version)
}
