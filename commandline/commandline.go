// Package commandline runs the command lines of the programs, so that all of them answer
// alike: help and version to standard output, an invalid command line in one line to
// standard error, a manual page and shell completions on request.
package commandline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
	"github.com/coreos/go-systemd/v22/journal"
	"github.com/posener/complete"
	"github.com/willabides/kongplete"
)

// Exit statuses of the programs.
const (
	ExitOK      = 0
	ExitFailed  = 1 // the command failed
	ExitInvalid = 2 // the command line is invalid
)

// Status is an error that ends the program with an exit status of its own, above
// ExitInvalid.
type Status struct {
	Exit int
	Err  error
}

func (s Status) Error() string { return s.Err.Error() }
func (s Status) Unwrap() error { return s.Err }

// Program describes a program.
type Program struct {
	Name    string
	Version string
	// Description begins with one sentence and may continue with examples.
	Description string
	// Options are further options of the parser, such as bindings.
	Options []kong.Option
	// Printable, unless nil, makes an error's text safe for a terminal.
	Printable func(string) string
}

// flags are the flags that every program has.
type flags struct {
	Version kong.VersionFlag `short:"V" help:"Print the version and exit."`
	Man     manual           `hidden:"" help:"Print the manual page in roff and exit."`
}

// Main parses the arguments of the process into grammar, a pointer to a struct of
// commands, runs the chosen command and exits. The context that it binds ends at SIGINT
// and SIGTERM.
func Main(p Program, grammar any) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, p, grammar, os.Args[1:])
	stop()
	os.Exit(status)
}

// Parser returns the parser of a program's grammar.
func Parser(p Program, grammar any) (*kong.Kong, error) {
	return kong.New(grammar, append([]kong.Option{
		kong.Name(p.Name),
		kong.Description(p.Description),
		kong.Embed(&flags{}),
		kong.Vars{"version": p.Name + " " + p.Version},
	}, p.Options...)...)
}

func run(ctx context.Context, p Program, grammar any, arguments []string) (status int) {
	parser, err := Parser(p, grammar)
	if err != nil {
		return fail(p, os.Stderr, err, ExitInvalid)
	}
	kongplete.Complete(parser, kongplete.WithPredictor("file", complete.PredictFiles("*")))
	parsed, err := parser.Parse(arguments)
	var invalid *kong.ParseError
	switch {
	case errors.As(err, &invalid) && len(arguments) == 0:
		parser.Stdout = os.Stderr
		if err := invalid.Context.PrintUsage(false); err != nil {
			return fail(p, os.Stderr, err, ExitInvalid)
		}
		return ExitInvalid
	case errors.As(err, &invalid):
		node := parser.Model.Node
		if chosen := invalid.Context.Selected(); chosen != nil {
			node = chosen
		}
		return fail(p, os.Stderr, fmt.Errorf("%w; see %s --help", oneLine(err), node.FullPath()), ExitInvalid)
	case err != nil:
		return fail(p, os.Stderr, err, ExitInvalid)
	}
	parsed.BindTo(ctx, (*context.Context)(nil))
	parsed.BindTo(os.Stdout, (*io.Writer)(nil))
	parsed.Bind(p)
	if err := parsed.Run(); err != nil {
		var own Status
		if errors.As(err, &own) {
			return fail(p, os.Stderr, err, own.Exit)
		}
		return fail(p, os.Stderr, err, ExitFailed)
	}
	return ExitOK
}

func oneLine(err error) error {
	return errors.New(strings.Join(strings.Fields(err.Error()), " "))
}

func fail(p Program, out io.Writer, err error, status int) int {
	text := err.Error()
	if p.Printable != nil {
		text = p.Printable(text)
	}
	text = p.Name + ": " + text
	if inJournal, err := journal.StderrIsJournalStream(); inJournal && err == nil {
		// Each line is an entry of its own, with the priority of an error.
		text = "<3>" + strings.ReplaceAll(text, "\n", "\n<3>")
	}
	// Nothing can be done for a closed standard error; the status tells the failure.
	_, _ = fmt.Fprintln(out, text)
	return status
}
