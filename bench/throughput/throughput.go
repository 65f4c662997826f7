// Package throughput measures the delivery to the subscriber: speed, memory, latency and
// what is written to flash.
package throughput

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"meltwatch/bench/rig"
)

// Options set the size of the measurement and its place.
type Options struct {
	Programs rig.Programs
	Records  int           // waiting in the outbox that is opened and drained
	Watch    time.Duration // how long the plant is watched with and without a broker
	Folder   string        // holds the measured outbox; a temporary folder if empty
	Into     string        // page with the marks "figures"; none if empty
}

// figure is one measured value and its promise.
type figure struct {
	what, value, want string
	ok                bool
}

// Run prints the table and returns an error for each broken promise.
func (o Options) Run(ctx context.Context, out io.Writer) error {
	folder, err := os.MkdirTemp(o.Folder, "meltwatch-figures-")
	if err != nil {
		return err
	}
	var figures []figure
	for _, measure := range []func(context.Context, string) ([]figure, error){o.appending, o.million, o.watching} {
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
	return errors.Join(append(broken, err, os.RemoveAll(folder), rig.Insert(o.Into, "figures", table.String()))...)
}

// watching measures the real agent: the age of a sample when the subscriber receives it,
// and the bytes written to flash, with and without a broker.
func (o Options) watching(ctx context.Context, _ string) ([]figure, error) {
	ages, events := &rig.Timings{}, &rig.Timings{}
	p := &rig.Plant{Programs: o.Programs}
	p.Take = func(topic string, payload []byte) {
		switch topic {
		case p.Root + "current":
			ages.Add(rig.Age(payload))
		case p.Root + "event":
			events.Add(0)
		}
	}
	err := p.Start(ctx, "bench")
	var healthy, outage flash
	during := 0 // events
	if err == nil {
		err = rig.Pause(ctx, 150*time.Second) // a furnace is warming for two minutes
	}
	if err == nil {
		ages.Reset()
		events.Reset()
		healthy, err = o.flash(ctx, p)
		during = events.Count()
	}
	if err == nil {
		p.Link.Stop()
		err = rig.Pause(ctx, 5*time.Second)
	}
	if err == nil {
		outage, err = o.flash(ctx, p)
	}
	if err = errors.Join(err, p.Stop()); err != nil {
		return nil, err
	}
	week := outage.kept * 7 * 24 * 3600
	return []figure{
		{"meter to subscriber, from the mid-point stamp: p50", ages.Percentile(50).String(), "", true},
		{"… p95", ages.Percentile(95).String(), "", true},
		{"… p99", ages.Percentile(99).String(), "", true},
		{fmt.Sprintf("flash written in %s of a healthy link, in which there were %d events", o.Watch, during), fmt.Sprintf("%.0f KB", healthy.written*o.Watch.Seconds()/1e3), "for events, and what a busy machine acknowledged late", true},
		{"flash written, outage", fmt.Sprintf("%.0f MB a day", outage.written*86400/1e6), "", true},
		{"outbox after seven days of outage, from its growth", fmt.Sprintf("%.0f MB", week/1e6), "≤ 512 MB", week < 512e6},
	}, nil
}

// flash is the load that the agent and its outbox put on the disk, in bytes a second.
type flash struct {
	written float64 // blocks, as the kernel counts them
	kept    float64 // growth of the outbox
}

func (o Options) flash(ctx context.Context, p *rig.Plant) (f flash, err error) {
	read := func() (written, kept int64, err error) {
		written, err = rig.WrittenBytes(p.Agent.Process.Pid)
		if err == nil {
			kept, err = rig.FolderSize(p.Outbox())
		}
		return written, kept, err
	}
	written, kept, err := read()
	if err != nil {
		return f, err
	}
	began := time.Now()
	if err := rig.Pause(ctx, o.Watch); err != nil {
		return f, err
	}
	writtenAfter, keptAfter, err := read()
	seconds := time.Since(began).Seconds()
	return flash{float64(writtenAfter-written) / seconds, float64(keptAfter-kept) / seconds}, err
}
