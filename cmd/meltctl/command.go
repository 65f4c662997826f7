package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"meltwatch/fleet"
)

// commandFlags are fleet.Commands on the command line.
type commandFlags struct {
	Timeout time.Duration `default:"30s" help:"How long each answer may take; the agents carry nothing out later than that (${default})."`
	JSON    bool          `name:"json" help:"Print one JSON object a line: agent, status, message, file."`
}

// person refuses an empty name: the records would not tell who acted.
func person(by string) error {
	if strings.TrimSpace(by) == "" {
		return errors.New("--by: is missing, and the environment has no USER: give your name")
	}
	return nil
}

type ackCommand struct {
	brokerFlags
	commandFlags
	Agents string `arg:"" help:"Agents: all, plant-1/f07, or a pattern such as plant-1/*."`
	By     string `env:"USER" placeholder:"NAME" help:"Who acknowledges; the user's name by default."`
}

// Help is printed below the command's flags.
func (ackCommand) Help() string {
	return `The alarm is marked as seen, with who and when; the furnace's state stays. One that is only held, because nothing can
show that it is over, ends. A box does it only if commands.acknowledge is true in its own file.

Exit status: 0 if every chosen agent has done it, 1 if one has not (its line says why), 2 if the command line is wrong.

Example: meltctl ack plant-1/f07`
}

// Validate refuses an acknowledgement by nobody.
func (c ackCommand) Validate() error { return person(c.By) }

// Run acknowledges.
func (c ackCommand) Run(ctx context.Context, out io.Writer) error {
	return c.fleet(out).Acknowledge(ctx, c.Agents, c.By, fleet.Commands(c.commandFlags))
}

type shelveCommand struct {
	brokerFlags
	commandFlags
	Agents  string `arg:"" help:"Agents: all, plant-1/f07, or a pattern such as plant-1/*."`
	Reason  string `required:"" help:"Why, in at most 200 bytes."`
	Minutes int    `default:"15" help:"For how long, 1 to 480 minutes (${default})."`
	By      string `env:"USER" placeholder:"NAME" help:"Who shelves; the user's name by default."`
}

// Help is printed below the command's flags.
func (shelveCommand) Help() string {
	return `The topic alarm says that the alarm is shelved, so that a horn or a dashboard can fall silent; the furnace's state stays.
After the time it is raised again, and the next alarm is never shelved. A box does it only if commands.shelve is true in its own file.

Exit status: 0 if every chosen agent has done it, 1 if one has not (its line says why), 2 if the command line is wrong.

Example: meltctl shelve plant-1/f07 --reason "tapping" --minutes 30`
}

// Validate refuses a silence by nobody.
func (c shelveCommand) Validate() error { return person(c.By) }

// Run shelves.
func (c shelveCommand) Run(ctx context.Context, out io.Writer) error {
	return c.fleet(out).Shelve(ctx, c.Agents, c.By, c.Reason, c.Minutes, fleet.Commands(c.commandFlags))
}

type snapshotCommand struct {
	brokerFlags
	commandFlags
	Agents string `arg:"" help:"Agents: all, plant-1/f07, or a pattern such as plant-1/*."`
	Out    string `short:"o" default:"." placeholder:"FILE" predictor:"file" help:"File for one agent's picture, or a folder for SITE-FURNACE.jpg of each; by default this folder."`
}

// Help is printed below the command's flags.
func (snapshotCommand) Help() string {
	return `The picture is the camera's newest, as JPEG of at most 640 pixels width and 256 KiB. A box does it only if
commands.snapshot is true in its own file.

Exit status: 0 if every picture was saved, 1 if one was not (its line says why), 2 if the command line is wrong.

Examples:
  meltctl snapshot plant-1/f07 --out shell.jpg
  meltctl snapshot 'plant-1/*' --out pictures --json`
}

// Run saves the pictures.
func (c snapshotCommand) Run(ctx context.Context, out io.Writer) error {
	return c.fleet(out).Snapshot(ctx, c.Agents, c.Out, fleet.Commands(c.commandFlags))
}

type forgetCommand struct {
	brokerFlags
	Agents string `arg:"" help:"Agents: plant-1/f07, a pattern such as plant-1/*, or all."`
	Yes    bool   `short:"y" help:"Do not ask."`
	Force  bool   `help:"Clear an agent too that the broker reports as online. One that runs publishes anew."`
	JSON   bool   `name:"json" help:"Print one JSON object a line: agent, status, message, topics; needs --yes."`
}

// Help is printed below the command's flags.
func (forgetCommand) Help() string {
	return `The broker keeps the last state, health, reports and desired documents of a box that is gone. This clears them, looks
whether they are gone, and changes nothing at the box.

Exit status: 0 if every chosen agent was cleared, 1 if one was not (its line says why), 2 if the command line is wrong.

Examples:
  meltctl forget plant-1/f07
  meltctl forget plant-1/f07 --yes --json`
}

// Validate refuses a question that nobody sees.
func (c forgetCommand) Validate() error {
	if c.JSON && !c.Yes {
		return errors.New("--json: give --yes too, because it cannot ask")
	}
	return nil
}

// Run clears the topics.
func (c forgetCommand) Run(ctx context.Context, out io.Writer) error {
	confirm := func(question string) (bool, error) { return ask(out, os.Stdin, question) }
	if c.Yes {
		confirm = nil
	}
	return c.fleet(out).Forget(ctx, c.Agents, c.Force, c.JSON, confirm)
}

// ask asks at a terminal.
func ask(out io.Writer, in *os.File, question string) (bool, error) {
	if !term.IsTerminal(int(in.Fd())) {
		return false, errors.New("standard input is not a terminal, so nobody can be asked: give --yes")
	}
	if _, err := fmt.Fprint(out, question, " [y/N] "); err != nil {
		return false, err
	}
	answer, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes", nil
}
