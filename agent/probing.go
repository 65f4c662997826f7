package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"meltwatch/agent/beside"
	"meltwatch/agent/health"
	"meltwatch/agent/web"
)

// prober probes the devices in force for the page, one probe at a time, in a process of its
// own at the lowest priority. It stops the probe of a device that fails the watch meanwhile.
type prober struct {
	agent *Agent
	log   *slog.Logger
	asked chan *probing

	mu    sync.Mutex
	now   *probing // nil while none runs
	last  *web.Probe
	ended <-chan struct{} // closed when the process of the last one has ended; nil before the first
}

// probing is a probe that runs.
type probing struct {
	web.Probe

	cancel    context.CancelFunc // nil until Run has taken it
	cancelled string             // by whom
	lost      bool               // the watch failed meanwhile
	was       health.Status      // the watch's part when the probe of it began
}

func newProber(a *Agent) *prober {
	return &prober{agent: a, log: a.log("probe"), asked: make(chan *probing, 1)}
}

var (
	errProbing     = errors.New("a probe runs already: wait for its end, or cancel it")
	errNoProbe     = errors.New("no probe runs")
	errProbeStuck  = errors.New("the last probe's process does not end: restart the box when the furnace stands still")
	errProbeOutput = errors.New("the probe's output is invalid: install the package again")
)

const (
	// probeLasts bounds a probe: 15 s for the meters, 28 s for the camera, and what the search
	// for other settings and the start of the processes take on a busy box.
	probeLasts = 75 * time.Second
	// watchEvery is how often the watch is looked at meanwhile.
	watchEvery = 100 * time.Millisecond
	// maxProbeOutput bounds what the process prints, in bytes.
	maxProbeOutput = 64 << 10
)

// Run runs what the page asks for until ctx ends.
func (p *prober) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case one := <-p.asked:
			p.finish(one, p.work(ctx, one))
		}
	}
}

// Start starts a probe.
func (p *prober) Start(by string) error {
	if p.agent.env.Program == "" {
		return errNoProgram
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.now != nil:
		return errProbing
	case !closed(p.ended):
		return errProbeStuck
	}
	p.now = &probing{Probe: web.Probe{By: by, Began: time.Now().UTC().Round(time.Second)}}
	p.asked <- p.now // there is room: none ran
	p.log.Info("probe started", "by", by)
	return nil
}

// Cancel ends the probe that runs.
func (p *prober) Cancel(by string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now == nil {
		return errNoProbe
	}
	p.now.cancelled = by
	if p.now.cancel != nil {
		p.now.cancel()
	}
	return nil
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

func (p *prober) finish(one *probing, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = nil
	done := one.Probe
	switch {
	case one.cancelled != "":
		done.Fault = "cancelled by " + one.cancelled
	case len(done.Parts) == len(probedParts): // that a part has a fault is no fault of the probe
	case one.lost: // its part says so
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errUnended):
		done.Fault = fmt.Sprintf("no result within %s: the box is busy, or the device answers too slowly; try again", probeLasts)
	case err != nil:
		done.Fault = err.Error()
	default:
		done.Fault = errProbeOutput.Error()
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
	if one.cancelled != "" {
		cancel()
	}
	p.mu.Unlock()
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		p.guard(ctx, one)
	}()
	out := &probeOutput{p: p, one: one}
	err := p.agent.aside(ctx, out, func(ended <-chan struct{}) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.ended = ended
	}, "probe", "configured", "--json")
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = ctx.Err()
	}
	cancel()
	<-watched
	if out.invalid.Load() {
		return errProbeOutput
	}
	return err
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
		return errProbeOutput
	}
	health := p.agent.registry.Snapshot()
	withWatch(&part, one.was, health[part.Name])
	one.Parts = append(one.Parts, part)
	if n+1 < len(probedParts) {
		one.was = health[probedParts[n+1]]
	}
	return nil
}

// withWatch adds what became of the watch. That a device which the watch reads does not answer
// another one is no fault of it.
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

// probeOutput reads the lines of the command.
type probeOutput struct {
	p       *prober
	one     *probing
	rest    []byte // of a line that is not complete
	size    int    // bytes read
	invalid atomic.Bool
}

// Write implements io.Writer. After an error the command ends, because it cannot write any
// more.
func (o *probeOutput) Write(data []byte) (int, error) {
	o.size += len(data)
	if o.size > maxProbeOutput || !o.take(data) {
		o.invalid.Store(true)
		return 0, errProbeOutput
	}
	return len(data), nil
}

func (o *probeOutput) take(data []byte) bool {
	searched := len(o.rest)
	o.rest = append(o.rest, data...)
	for {
		end := bytes.IndexByte(o.rest[searched:], '\n')
		if end < 0 {
			return true
		}
		line := o.rest[:searched+end]
		o.rest, searched = o.rest[searched+end+1:], 0
		var part beside.Part
		if json.Unmarshal(line, &part) != nil || o.p.took(o.one, part) != nil {
			return false
		}
	}
}
