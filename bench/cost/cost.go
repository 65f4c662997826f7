// Package cost measures what the recorder and the page cost: processor time, memory and
// what is written to disk, each against the agent without them.
package cost

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"meltwatch/bench/rig"
	"meltwatch/percentile"
)

// Options set the size of the measurement.
type Options struct {
	Programs rig.Programs
	Watch    time.Duration // of each setting in a round
	Rounds   int           // in which the settings take turns
	Viewers  int           // of the page
}

// setting is one way to run the agent.
type setting struct {
	name     string
	sections string // of its file, in YAML
	viewers  int
	used     []used // in each round
}

// used is what one round used.
type used struct {
	cpu     map[string]float64 // share of a core by program
	memory  int                // bytes, PSS of all programs
	written float64            // bytes of recordings a second
}

const (
	site  = "cost"
	agent = "meltwatch"
)

// Run prints the table.
func (o Options) Run(ctx context.Context, out io.Writer) error {
	address, err := rig.FreeAddress(ctx)
	if err != nil {
		return err
	}
	p := &rig.Plant{Programs: o.Programs, Camera: true, Take: func(string, []byte) {}}
	sections := func(records bool, page string) string {
		return fmt.Sprintf("recorder: {enabled: %t}\nweb: {listen: %q}\n", records, page)
	}
	settings := []*setting{
		{name: "neither", sections: sections(false, "")},
		{name: "recorder", sections: sections(true, "")},
		{name: fmt.Sprintf("recorder, and the page with %d viewers", o.Viewers), sections: sections(true, address), viewers: o.Viewers},
	}
	if err = p.Start(ctx, site); err == nil {
		err = rig.Pause(ctx, warmUp) // an agent that has not begun to handle signals does not end in order
	}
	for range o.Rounds {
		for _, s := range settings {
			if err == nil {
				err = o.measure(ctx, p, s, "http://"+address)
			}
		}
	}
	if err = errors.Join(err, p.Stop()); err != nil {
		return err
	}
	_, err = out.Write(table(settings))
	return err
}

// warmUp is how long an agent runs before it is measured: it loads its model and opens its
// camera.
const warmUp = 20 * time.Second

func (o Options) measure(ctx context.Context, p *rig.Plant, s *setting, page string) error {
	if err := p.Configure(s.sections); err != nil {
		return err
	}
	if err := p.RestartAgent(func() {}); err != nil {
		return err
	}
	if err := rig.Pause(ctx, warmUp); err != nil {
		return err
	}
	looking, leave := context.WithCancel(ctx)
	viewers, looking := errgroup.WithContext(looking)
	for range s.viewers {
		viewers.Go(func() error { return look(looking, page) })
	}
	u, err := o.watch(ctx, p)
	ended := looking.Err() // a viewer failed
	leave()
	if viewing := viewers.Wait(); ended != nil {
		err = errors.Join(err, viewing)
	}
	s.used = append(s.used, u)
	return err
}

// watch reads what all programs use.
func (o Options) watch(ctx context.Context, p *rig.Plant) (u used, err error) {
	before, recorded, err := read(p)
	if err != nil {
		return u, err
	}
	began := time.Now()
	if err := rig.Pause(ctx, o.Watch); err != nil {
		return u, err
	}
	after, more, err := read(p)
	if err != nil {
		return u, err
	}
	lasted := time.Since(began)
	u = used{cpu: map[string]float64{}, written: float64(more-recorded) / lasted.Seconds()}
	for name, now := range after {
		u.cpu[name] = float64(now.CPU-before[name].CPU) / float64(lasted)
		u.memory += now.Share
	}
	return u, nil
}

// read returns the usage of the agent and of its children by their names, and the size of
// the recording.
func read(p *rig.Plant) (all map[string]rig.Usage, recorded int64, err error) {
	pid := p.Agent.Process.Pid
	programs, err := rig.Children(pid)
	if err != nil {
		return nil, 0, err
	}
	programs[agent] = pid
	all = map[string]rig.Usage{}
	for name, pid := range programs {
		if all[name], err = rig.ReadUsage(pid); err != nil {
			return nil, 0, fmt.Errorf("%s: %w", name, err)
		}
	}
	recorded, err = rig.FolderSize(p.Recordings())
	return all, recorded, err
}

// look does what a browser on the page Now does: it follows the stream, and fetches the
// picture each second, until ctx ends.
func look(ctx context.Context, page string) error {
	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() error { return fetch(ctx, page+"/api/stream") })
	both.Go(func() error {
		for ctx.Err() == nil {
			if err := fetch(ctx, page+"/api/view.jpg?evidence=1"); err != nil {
				return err
			}
			if err := rig.Pause(ctx, time.Second); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
	return both.Wait()
}

// fetch reads a whole answer.
func fetch(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, answer.Body)
	if err = errors.Join(err, answer.Body.Close()); err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, answer.Status)
	}
	return err
}

// table is the median of each setting's rounds, and its distance from the first setting.
func table(settings []*setting) []byte {
	var b bytes.Buffer
	fmt.Fprint(&b, "| | agent, % of a core | camera child | model child | together | memory (PSS), MB | recorded a day, GB |\n|---|---|---|---|---|---|---|\n")
	const (
		percent  = 100
		megabyte = 1e6
		day      = 24 * 3600
		gigabyte = 1e9
	)
	together := func(u used) float64 { return u.cpu[agent] + u.cpu["meltwatch-camera"] + u.cpu["meltwatch-infer"] }
	for _, s := range settings {
		more := func(value func(used) float64) string {
			now, first := median(s.used, value), median(settings[0].used, value)
			if s == settings[0] {
				return fmt.Sprintf("%.1f", now)
			}
			return fmt.Sprintf("%.1f (%+.1f)", now, now-first)
		}
		of := func(program string) string { return more(func(u used) float64 { return percent * u.cpu[program] }) }
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %.2f |\n", s.name, of(agent), of("meltwatch-camera"), of("meltwatch-infer"),
			more(func(u used) float64 { return percent * together(u) }), more(func(u used) float64 { return float64(u.memory) / megabyte }),
			median(s.used, func(u used) float64 { return u.written })*day/gigabyte)
	}
	return b.Bytes()
}

// median is that of a figure over rounds.
func median(rounds []used, value func(used) float64) float64 {
	var values []float64
	for _, u := range rounds {
		values = append(values, value(u))
	}
	const half = 50
	return percentile.Of(values, half)
}
