// Meltctl looks after many furnaces' agents over the broker that they all talk
// to: it lists them, changes their configuration, rolls models out in stages, and
// makes the files of new boxes.
//
// It holds no state of its own. What is wanted of an agent and what became of it
// stand in the broker's retained topics; two people with meltctl see the same.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

// version is set by the build.
var version = "dev"

type commands struct {
	List      listCommand      `cmd:"" help:"List the agents that the broker knows."`
	Watch     watchCommand     `cmd:"" help:"Print what changes, until told to stop."`
	Config    configCommand    `cmd:"" help:"Look at and change configurations."`
	Model     modelCommand     `cmd:"" help:"Roll models out."`
	Provision provisionCommand `cmd:"" help:"Make the files of new boxes from a template and a list."`
	Version   versionCommand   `cmd:"" help:"Print the version."`
}

// brokerFlags say where the broker is.
type brokerFlags struct {
	Broker       string        `default:"tcp://127.0.0.1:1883" env:"MELTCTL_BROKER" help:"Broker (${default}): tcp://, ssl://, ws:// or wss://host:port."`
	Username     string        `env:"MELTCTL_USERNAME" help:"User at the broker."`
	PasswordFile string        `type:"existingfile" env:"MELTCTL_PASSWORD_FILE" help:"File with the user's password."`
	CAFile       string        `name:"ca-file" type:"existingfile" help:"Authority that vouches for the broker; the system's when empty."`
	Wait         time.Duration `default:"2s" help:"How long to gather retained topics at most; ends early when they stop coming."`
}

// outside is what a command needs of the world around it.
type outside struct {
	ctx context.Context //nolint:containedctx // it lives as long as the command that it is handed to
	out io.Writer
}

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run(o outside) error {
	_, err := fmt.Fprintln(o.out, "meltctl", version)
	return err
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var c commands
	parsed := kong.Parse(&c,
		kong.Name("meltctl"),
		kong.Description("Looks after many Meltwatch agents over their broker.\n\nExamples:\n  meltctl list --broker tcp://192.0.2.12:1883\n  meltctl config set 'plant-1/*' patch.json --stages 1,25%,100%\n  meltctl model push all furnace.model --stages 1,100% --shadow 1h\n  meltctl provision --template box.yaml --list boxes.yaml --out boxes"),
		kong.UsageOnError(),
	)
	if err := parsed.Run(outside{ctx, os.Stdout}); err != nil {
		fmt.Fprintln(os.Stderr, "meltctl:", plainLines(err.Error()))
		stop()
		os.Exit(1)
	}
}
