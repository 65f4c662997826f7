package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"meltwatch/agent/beside"
	"meltwatch/agent/health"
	"meltwatch/agent/web"
)

// prober probes the devices in force for the page, by the command probe configured. It stops
// the probe of a device that fails the watch meanwhile.
type prober struct {
	*jobs

	log  *slog.Logger
	now  *probing // nil while none runs
	last *web.Probe
}

// probing is a probe that runs.
type probing struct {
	web.Probe

	cancel context.CancelFunc // nil until it works
	lost   bool               // the watch failed meanwhile
	was    health.Status      // the watch's part when the probe of it began
}

var (
	errProbing    = errors.New("a probe runs already: wait for its end, or cancel it")
	errNoProbe    = errors.New("no probe runs")
	errProbeStuck = errors.New("the last probe's process does not end: restart the box when the furnace stands still")
)

func newProber(a *Agent) *prober {
	return &prober{jobs: newJobs(a, errProbing, errNoProbe, errProbeStuck), log: a.log("probe")}
}

const (
	// probeLasts bounds a probe: 15 s for the meters, 28 s for the camera, and what the search
	// for other settings and the start of the processes take on a busy box.
	probeLasts = 75 * time.Second
	// watchEvery is how often the watch is looked at meanwhile.
	watchEvery = 100 * time.Millisecond
	// maxProbeOutput bounds what the process prints, in bytes.
	maxProbeOutput = 64 << 10
)

// Start starts a probe.
func (p *prober) Start(by string) error {
	one := &probing{Probe: web.Probe{By: by, Began: time.Now().UTC().Round(time.Second)}}
	return p.start(&job{
		work:   func(ctx context.Context) error { return p.work(ctx, one) },
		finish: func(cancelled string, err error) { p.finish(one, cancelled, err) },
	}, func() {
		p.now = one
		p.log.Info("probe started", "by", by)
	})
}

// Status is what the page shows.
func (p *prober) Status() web.Probing {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := web.Probing{Last: p.last}
	if p.now != nil {
		running := p.now.Probe
		running.Parts = append([]beside.Part{}, running.Parts...)
		s.Running = &running
	}
	return s
}

// finish takes the end of a probe. The lock is held.
func (p *prober) finish(one *probing, cancelled string, err error) {
	p.now = nil
	done := one.Probe
	switch {
	case cancelled != "":
		done.Fault = "cancelled by " + cancelled
	case len(done.Parts) == len(probedParts): // the command fails if a device has a fault, but the probe is whole
	case one.lost: // its part says so
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errUnended):
		done.Fault = fmt.Sprintf("no result within %s: the box is busy, or the device answers too slowly; try again", probeLasts)
	case err != nil:
		done.Fault = err.Error()
	default:
		done.Fault = errOutput.Error()
	}
	p.last = &done
	if done.Fault != "" {
		p.log.Warn("probe ended early", "err", done.Fault)
		return
	}
	p.log.Info("devices probed")
}

// probedParts are the parts in the order of their probing, which are parts of health too.
var probedParts = []string{beside.Meters, beside.Camera}

// work runs the command, and watches the watch meanwhile.
func (p *prober) work(ctx context.Context, one *probing) error {
	ctx, cancel := context.WithTimeout(ctx, probeLasts)
	defer cancel()
	p.mu.Lock()
	one.cancel, one.was = cancel, p.agent.registry.Snapshot()[probedParts[0]]
	p.mu.Unlock()
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		p.guard(ctx, one)
	}()
	out := p.output(one)
	err := p.process(ctx, out, "probe", "configured", "--json")
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = ctx.Err()
	}
	cancel()
	<-watched
	if out.err != nil {
		return out.err
	}
	return err
}

// output reads the parts that the command prints.
func (p *prober) output(one *probing) *output {
	return &output{most: maxProbeOutput, line: func(line []byte) error {
		var part beside.Part
		if err := json.Unmarshal(line, &part); err != nil {
			return err
		}
		return p.took(one, part)
	}}
}

// guard ends the probe if the watch of what is being probed worked before, and fails.
func (p *prober) guard(ctx context.Context, one *probing) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		health := p.agent.registry.Snapshot()
		p.mu.Lock()
		if len(one.Parts) < len(probedParts) && one.was.Status == statusOK && health[probedParts[len(one.Parts)]].Status != statusOK {
			part := probedParts[len(one.Parts)]
			one.lost = true
			one.Parts = append(one.Parts, beside.Part{Name: part, Findings: []beside.Finding{}, Watch: beside.WatchLost})
			one.cancel()
			p.log.Warn("probe stopped, because the watch failed meanwhile", "probed", part, "err", health[part].Error)
		}
		lost := one.lost
		p.mu.Unlock()
		if lost {
			return
		}
	}
}

const statusOK = "ok" // of health

// took takes a part that was probed.
func (p *prober) took(one *probing, part beside.Part) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(one.Parts)
	if one.lost {
		return nil // it came too late
	}
	if n == len(probedParts) || part.Name != probedParts[n] {
		return fmt.Errorf("part %q at place %d", part.Name, n)
	}
	health := p.agent.registry.Snapshot()
	withWatch(&part, one.was, health[part.Name])
	one.Parts = append(one.Parts, part)
	if n+1 < len(probedParts) {
		one.was = health[probedParts[n+1]]
	}
	return nil
}

// withWatch adds what became of the watch. A device that the watch reads need not answer a
// second connection, so its silence is a note.
func withWatch(part *beside.Part, before, after health.Status) {
	redials, polls := after.Counters["redials"]-before.Counters["redials"], before.Counters["polls"]
	switch {
	case before.Status != statusOK:
		part.Watch = beside.WatchFault
		return
	case after.Status != statusOK:
		part.Watch = beside.WatchLost
		return
	case redials > 0 && 2*before.Counters["redials"] < polls: // not a device that closes after each answer
		part.Watch = beside.WatchAgain
	default:
		part.Watch = beside.WatchReads
	}
	if part.Answered {
		return
	}
	for i, f := range part.Findings {
		if f.Status == beside.Fail {
			part.Findings[i].Status = beside.Warn
		}
	}
}
