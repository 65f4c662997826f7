package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/prometheus/procfs"
)

type figuresCommand struct {
	programs
	Records int           `default:"1000000" help:"How many records wait in the outbox that is opened and drained."`
	Watch   time.Duration `default:"90s" help:"How long the plant is watched, with the broker there and without."`
	Folder  string        `help:"Where the outbox is measured; a temporary folder by default, which must not be a RAM disk."`
	Into    string        `type:"existingfile" help:"Write the table into this page, between the lines <!-- figures --> and <!-- /figures -->."`
}

// figure is one measured value beside what was promised of it.
type figure struct {
	what, value, want string
	ok                bool
}

// Run prints the table, and fails where a promise is not kept.
func (c figuresCommand) Run(ctx context.Context, out io.Writer) error {
	folder, err := os.MkdirTemp(c.Folder, "meltwatch-figures-")
	if err != nil {
		return err
	}
	var figures []figure
	for _, measure := range []func(context.Context, string) ([]figure, error){c.appending, c.million, c.watching} {
		more, err := measure(ctx, folder)
		if err != nil {
			return errors.Join(err, os.RemoveAll(folder))
		}
		figures = append(figures, more...)
	}
	var table bytes.Buffer
	var broken []error
	fmt.Fprint(&table, "| | measured | promised |\n|---|---|---|\n")
	for _, f := range figures {
		fmt.Fprintf(&table, "| %s | %s | %s |\n", f.what, f.value, f.want)
		if !f.ok {
			broken = append(broken, fmt.Errorf("%s: %s, promised %s", f.what, f.value, f.want))
		}
	}
	_, err = out.Write(table.Bytes())
	return errors.Join(append(broken, err, os.RemoveAll(folder), insert(c.Into, "figures", table.String()))...)
}

// insert puts a text between two marks of a page.
func insert(page, mark, text string) error {
	if page == "" {
		return nil
	}
	before, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	begin, end := "<!-- "+mark+" -->\n", "<!-- /"+mark+" -->"
	head, rest, found := strings.Cut(string(before), begin)
	_, tail, closed := strings.Cut(rest, end)
	if !found || !closed {
		return fmt.Errorf("%s has no lines %q and %q", page, strings.TrimSpace(begin), end)
	}
	return os.WriteFile(page, []byte(head+begin+text+end+tail), 0o644) //nolint:gosec // a page for everybody
}

// watching measures the real agent: how old a sample is when the subscriber has
// it, and what is written to the flash, with the broker there and without.
func (c figuresCommand) watching(ctx context.Context, _ string) ([]figure, error) {
	ages, events := &timings{}, &timings{}
	p := &plant{programs: c.programs}
	p.take = func(topic string, payload []byte) {
		switch topic {
		case p.root + "current":
			ages.add(ageOf(payload))
		case p.root + "event":
			events.add(0)
		}
	}
	err := p.start(ctx, "bench")
	var healthy, outage flash
	during := 0 // events
	if err == nil {
		err = pause(ctx, 150*time.Second) // a furnace is warming for two minutes
	}
	if err == nil {
		ages.reset()
		events.reset()
		healthy, err = c.flash(ctx, p)
		during = events.count()
	}
	if err == nil {
		p.link.Stop()
		err = pause(ctx, 5*time.Second)
	}
	if err == nil {
		outage, err = c.flash(ctx, p)
	}
	if err = errors.Join(err, p.stop()); err != nil {
		return nil, err
	}
	week := outage.kept * 7 * 24 * 3600
	return []figure{
		{"meter to subscriber, from the mid-point stamp: p50", ages.percentile(50).String(), "", true},
		{"… p95", ages.percentile(95).String(), "", true},
		{"… p99", ages.percentile(99).String(), "", true},
		{fmt.Sprintf("flash written in %s of a healthy link, in which there were %d events", c.Watch, during), fmt.Sprintf("%.0f KB", healthy.written*c.Watch.Seconds()/1e3), "for events, and what a busy machine acknowledged late", true},
		{"flash written, outage", fmt.Sprintf("%.0f MB a day", outage.written*86400/1e6), "", true},
		{"outbox after seven days of outage, from its growth", fmt.Sprintf("%.0f MB", week/1e6), "≤ 512 MB", week < 512e6},
	}, nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// flash is what the agent and its outbox did to the disk, in bytes a second.
type flash struct {
	written float64 // blocks, as the kernel counts them
	kept    float64 // growth of the outbox
}

func (c figuresCommand) flash(ctx context.Context, p *plant) (f flash, err error) {
	read := func() (written, kept int64, err error) {
		written, err = writtenBytes(p.agent.Process.Pid)
		if err == nil {
			kept, err = folderSize(p.outbox())
		}
		return written, kept, err
	}
	written, kept, err := read()
	if err != nil {
		return f, err
	}
	began := time.Now()
	if err := pause(ctx, c.Watch); err != nil {
		return f, err
	}
	writtenAfter, keptAfter, err := read()
	seconds := time.Since(began).Seconds()
	return flash{float64(writtenAfter-written) / seconds, float64(keptAfter-kept) / seconds}, err
}

// writtenBytes is what a process has caused to be written to a disk.
func writtenBytes(pid int) (int64, error) {
	process, err := procfs.NewProc(pid)
	if err != nil {
		return 0, err
	}
	counted, err := process.IO()
	return int64(counted.WriteBytes), err
}
