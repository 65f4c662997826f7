// Meltwatch watches one electric furnace: it reads the three-phase current over
// Modbus and frames from an RTSP camera, decides each second with a TensorFlow
// model whether the furnace is abnormal, and publishes the state over MQTT.
//
// This package holds the command line only; package agent watches the furnace.
package main

import (
	"io"
	"log/slog"
	"os"

	"github.com/alecthomas/kong"
	"github.com/coreos/go-systemd/v22/journal"

	"meltwatch/agent"
	"meltwatch/agent/logging"
	"meltwatch/agent/settings"
	"meltwatch/commandline"
	"meltwatch/config"
)

// version is set by the build.
var version = "dev"

type commands struct {
	Run        runCommand             `cmd:"" help:"Watch the furnace until stopped."`
	Check      checkCommand           `cmd:"" help:"Check the configuration, this machine, the model, the broker, the meters and the camera: a line for each thing that must work."`
	Reload     reloadCommand          `cmd:"" help:"Make the running agent read its configuration file again."`
	Probe      probeCommand           `cmd:"" help:"Find out what a meter or a camera gives, and print the configuration for it."`
	Once       onceCommand            `cmd:"" help:"Decide once and print the verdict as JSON."`
	Record     recordCommand          `cmd:"" help:"Record the senses and what is decided, without a broker."`
	Replay     replayCommand          `cmd:"" help:"Decide a recording again, with this model and these thresholds."`
	Compare    compareCommand         `cmd:"" help:"Have two models decide the labelled stretches of a recording, and compare them."`
	Export     exportCommand          `cmd:"" help:"Write a recording and its labels as a data set for training."`
	Password   passwordCommand        `cmd:"" help:"Print the hash of a password for web.password_file."`
	Outbox     outboxCommand          `cmd:"" help:"Show the records that no broker has acknowledged yet."`
	Model      modelCommand           `cmd:"" help:"Create, sign and check model packages."`
	Schema     schemaCommand          `cmd:"" help:"Print the JSON Schema of the configuration or of a payload."`
	Version    commandline.Version    `cmd:"" help:"Print the version."`
	Completion commandline.Completion `cmd:"" help:"Print the completion script of a shell. Example: source <(meltwatch completion bash)"`
}

// configFlag is the flag that names the configuration file.
type configFlag struct {
	Config string `short:"c" default:"/etc/meltwatch/meltwatch.yaml" env:"MELTWATCH_CONFIG" predictor:"file" placeholder:"FILE" help:"Configuration file (${default}); config/sample.yaml shows every setting."`
}

// logFlags override the log section of the configuration.
type logFlags struct {
	Level  string `name:"log-level" env:"MELTWATCH_LOG_LEVEL" enum:",debug,info,warn,error" default:"" placeholder:"LEVEL" help:"Log at least from this level on, whatever log.level is: debug, info, warn or error."`
	Format string `name:"log-format" env:"MELTWATCH_LOG_FORMAT" enum:",text,json" default:"" placeholder:"FORMAT" help:"Use this instead of log.format: text or json."`
}

// outside holds the output streams of a command.
type outside struct {
	out    io.Writer
	errOut io.Writer
}

func main() {
	var c commands
	commandline.Main(program(), &c)
}

func program() commandline.Program {
	return commandline.Program{
		Name: "meltwatch", Version: version,
		Description: "An agent beside an electric furnace: current and picture in, furnace state out over MQTT.\n\nExamples:\n  meltwatch check -c furnace.yaml\n  meltwatch run -c furnace.yaml\n  meltwatch once -c furnace.yaml --wait 40s\n  meltwatch outbox stat -c furnace.yaml\n\nExit status: 0 success, 1 failure, 2 invalid command line.",
		Options:     []kong.Option{kong.Bind(outside{os.Stdout, os.Stderr}), schemaVars()},
	}
}

// newEnv returns the environment on this machine, with a log to w in the configured
// format, from the configured level on.
func newEnv(w io.Writer, c config.Log, override logFlags) (agent.Env, error) {
	level := &slog.LevelVar{}
	level.Set(settings.LogLevel(c))
	o := logging.Options{Format: c.Format, Level: level}
	if override.Format != "" {
		o.Format = override.Format
	}
	if override.Level != "" {
		o.Level = logging.Lower(level, settings.LogLevel(config.Log{Level: override.Level}))
	}
	// With an error JOURNAL_STREAM is invalid, so the log does not go to the journal.
	o.Journal, _ = journal.StderrIsJournalStream()
	return agent.Host(logging.New(w, o), level, version)
}
