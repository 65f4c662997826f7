// Package performance compares the product's speed with its peers' and with what the
// machine allows, in one run, and writes docs/performance.md. Each part is a package of its
// own; figures says how rounds become a page.
package performance

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"meltwatch/bench/performance/figures"
	"meltwatch/bench/rig"
)

// Options select what is measured.
type Options struct {
	Programs rig.Programs
	Telegraf string        // the program, as scripts/telegraf.sh builds it
	Every    string        // the program that decodes every frame, as make bench builds it
	Parts    []string      // names; all but those on demand if empty
	Rounds   int           // 0 writes the page alone
	Limit    time.Duration // of the whole run; none if 0
	Brief    bool          // measure for a fifth of the time, to see that it works
	Results  string        // folder of the results
	Into     string        // page to write; none if empty
	Version  string        // of the programs
	Command  string        // as it was typed
}

// Part is one part of the bench.
type Part struct {
	Name, Title string
	Tables      []figures.Table
	// Measure makes one round; n counts from 0. Within a round the systems take turns,
	// and which is first changes with n.
	Measure func(ctx context.Context, n int) (figures.Round, error)
	// OnDemand parts are measured only if they are named.
	OnDemand bool
}

//go:embed notes.md
var notes string

// errLimit ends a run that took too long.
var errLimit = errors.New("the run's limit has passed (--limit): run it again, and it goes on where it stopped")

// Run measures what the folder of results lacks, and writes the page from all results that
// it holds. A part that fails does not stop the others.
func (o Options) Run(ctx context.Context, out io.Writer) error {
	return o.run(ctx, out, o.parts())
}

func (o Options) run(ctx context.Context, out io.Writer, parts []Part) error {
	chosen, err := o.choose(parts)
	if err != nil {
		return err
	}
	if o.Limit > 0 {
		limited, cancel := context.WithTimeoutCause(ctx, o.Limit, errLimit)
		defer cancel()
		ctx = limited
	}
	failed := map[string]error{}
	for n := range o.Rounds {
		for _, p := range chosen {
			if failed[p.Name] != nil || ctx.Err() != nil {
				continue
			}
			if err := o.round(ctx, out, p, n); err != nil {
				failed[p.Name] = fmt.Errorf("%s: %w", p.Name, err)
			}
		}
	}
	faults := []error{context.Cause(ctx)}
	for _, p := range chosen {
		faults = append(faults, failed[p.Name])
	}
	return errors.Join(append(faults, o.write(out, parts))...)
}

// choose returns the chosen parts, in the order of the page.
func (o Options) choose(parts []Part) (chosen []Part, err error) {
	var known []string
	for _, p := range parts {
		known = append(known, p.Name)
		if len(o.Parts) == 0 && !p.OnDemand || slices.Contains(o.Parts, p.Name) {
			chosen = append(chosen, p)
		}
	}
	for _, name := range o.Parts {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("--parts: %q is unknown: known are %s", name, strings.Join(known, ", "))
		}
	}
	if o.Rounds < 0 {
		return nil, fmt.Errorf("--rounds: %d is invalid: want 0 or more", o.Rounds)
	}
	return chosen, nil
}

// round measures round n of a part, unless the results hold it. Results of other programs
// or another machine are measured anew.
func (o Options) round(ctx context.Context, out io.Writer, p Part, n int) error {
	result, err := figures.Load(o.Results, p.Name)
	if err != nil {
		return err
	}
	machine := figures.ThisMachine()
	if result.Version != o.Version || result.Machine != machine {
		result.Rounds = nil
	}
	if len(result.Rounds) > n {
		return nil
	}
	began := time.Now()
	measured, err := p.Measure(ctx, n)
	if err != nil {
		return err
	}
	result.Command, result.Version, result.Machine = o.Command, o.Version, machine
	result.Measured, result.Rounds = time.Now(), append(result.Rounds, measured)
	if err := result.Save(o.Results); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s: round %d of %d took %s\n", p.Name, n+1, o.Rounds, time.Since(began).Round(time.Second))
	return err
}

// write writes the page, or prints it if none was named.
func (o Options) write(out io.Writer, parts []Part) error {
	sections := make([]figures.Section, 0, len(parts))
	for _, p := range parts {
		result, err := figures.Load(o.Results, p.Name)
		if err != nil {
			return err
		}
		sections = append(sections, figures.Section{
			Name: p.Name, Title: p.Title, Tables: p.Tables, Result: result,
			Missing: "bin/bench performance --parts " + p.Name,
		})
	}
	page := figures.Page(sections, notes)
	if o.Into == "" {
		_, err := io.WriteString(out, page)
		return err
	}
	return os.WriteFile(o.Into, []byte(page), 0o644) //nolint:gosec // a page of the documentation
}
