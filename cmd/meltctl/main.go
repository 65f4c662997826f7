// Command meltctl looks after many furnaces' agents over the broker that they all
// talk to: it lists them, changes their configuration, rolls models out in stages, and
// makes the files of new boxes. Package fleet does the work.
package main

import (
	"io"
	"time"

	"github.com/alecthomas/kong"

	"meltwatch/commandline"
	"meltwatch/fleet"
)

// version is set by the build.
var version = "dev"

type commands struct {
	List       listCommand            `cmd:"" help:"List the agents that the broker knows."`
	Dash       dashCommand            `cmd:"" help:"Serve a page with all furnaces, alarms first."`
	Watch      watchCommand           `cmd:"" help:"Print changes until interrupted."`
	Config     configCommand          `cmd:"" help:"Show and change configurations."`
	Model      modelCommand           `cmd:"" help:"Roll out models."`
	Ack        ackCommand             `cmd:"" help:"Acknowledge alarms, and print the answers."`
	Shelve     shelveCommand          `cmd:"" help:"Silence alarms for a time, and print the answers."`
	Snapshot   snapshotCommand        `cmd:"" help:"Ask agents for a picture, and save it."`
	Forget     forgetCommand          `cmd:"" help:"Clear what the broker keeps of a box that is gone."`
	Provision  provisionCommand       `cmd:"" help:"Write the files of new boxes from a template and a list."`
	Version    commandline.Version    `cmd:"" help:"Print the version."`
	Completion commandline.Completion `cmd:"" help:"Print the completion script of a shell. Example: source <(meltctl completion bash)"`
}

// brokerFlags are fleet.Broker on the command line.
type brokerFlags struct {
	URL          string        `name:"broker" default:"${broker}" env:"MELTCTL_BROKER" help:"Broker (${default}): tcp://, ssl://, ws:// or wss://host:port."`
	Username     string        `env:"MELTCTL_USERNAME" help:"User at the broker."`
	PasswordFile string        `type:"existingfile" env:"MELTCTL_PASSWORD_FILE" help:"File with the user's password."`
	CAFile       string        `name:"ca-file" type:"existingfile" help:"PEM file that verifies the broker; the system's roots when empty."`
	Wait         time.Duration `default:"5s" help:"Longest wait for retained topics; it ends early when no more arrive."`
}

// fleet returns all agents at the broker; operations print to out.
func (b brokerFlags) fleet(out io.Writer) fleet.Fleet {
	return fleet.Fleet{Broker: fleet.Broker(b), Out: out}
}

// stageFlags are fleet.Stages on the command line.
type stageFlags struct {
	Sizes   string `name:"stages" default:"1,25%,100%" help:"How many agents have the change after each stage (${default}): numbers or shares. A failure stops the roll-out before the next stage."`
	First   string `help:"Agent of the first stage, such as plant-1/f07; the first by name otherwise."`
	Offline bool   `help:"Publish for offline agents too, without waiting for them: they catch up when they connect."`
}

func main() {
	var c commands
	commandline.Main(program(), &c)
}

func program() commandline.Program {
	return commandline.Program{
		Name: "meltctl", Version: version, Printable: fleet.Printable,
		Options:     []kong.Option{kong.Vars{"broker": fleet.DefaultBroker}},
		Description: "Manages many Meltwatch agents over their broker.\n\nExamples:\n  meltctl list --broker tcp://192.0.2.12:1883\n  meltctl config set 'plant-1/*' patch.json --stages 1,25%,100%\n  meltctl model push all furnace.model --stages 1,100% --shadow 1h\n  meltctl provision --template box.yaml --list boxes.yaml --out boxes\n\nExit status: 0 success, 1 failure, 2 invalid command line.",
	}
}
