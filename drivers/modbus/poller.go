package modbus

import (
	"context"
	"fmt"
	"time"

	wire "github.com/goburrow/modbus"

	"meltwatch/config"
	"meltwatch/retry"
)

// unit is one meter as its line's poller sees it.
type unit struct {
	name  string
	meter config.Meter
	plan  []Request
	tick  schedule
	// wait keeps a unit that does not answer from costing the others on a shared
	// line more than one timeout each time it runs out.
	wait backoff
	// doubt: a reply of an earlier request may still be under way.
	doubt    bool
	counters Counters
	faults   *retry.Faults
}

// reading is what one poll of a unit brought.
type reading struct {
	values      map[string]float64
	time        time.Time
	uncertainty time.Duration
}

// poller owns one line and polls the units on it in the order they are due.
type poller struct {
	line  *line
	units []*unit // the one with the currents first, where it is here
	// dialed is set once the line has been open; redial grows while it cannot be.
	dialed bool
	redial backoff

	observe func(Report)
	deliver func(*unit, reading)
}

// run polls until ctx ends.
func (p *poller) run(ctx context.Context) {
	defer p.line.close()
	start := time.Now()
	for _, u := range p.units {
		u.tick.start = start
	}
	for {
		u := p.next()
		if sleepUntil(ctx, u.tick.due()) != nil {
			return
		}
		if missed := u.tick.skip(time.Now()); missed > 0 {
			u.counters.Missed += missed
			continue // another unit may be due before this one's next tick
		}
		p.poll(ctx, u)
		u.tick.n++
	}
}

// next is the unit whose tick comes first.
func (p *poller) next() *unit {
	first := p.units[0]
	for _, u := range p.units[1:] {
		if u.tick.due().Before(first.tick.due()) {
			first = u
		}
	}
	return first
}

// poll makes one attempt, unless a wait after repeated failures is running.
func (p *poller) poll(ctx context.Context, u *unit) {
	now := time.Now()
	if p.redial.waiting(now) || u.wait.waiting(now) {
		u.counters.Missed++
		return
	}
	u.counters.Polls++
	got, err := p.attempt(ctx, u)
	if ctx.Err() != nil {
		return // the line was cut on purpose
	}
	if err != nil {
		u.counters.Errors++
		u.faults.Report(err)
	} else {
		u.faults.Over()
	}
	now = time.Now()
	p.observe(Report{Meter: u.name, Time: now, Err: err, Counters: u.counters})
	if err == nil {
		p.deliver(u, got)
	}
}

// attempt opens the line if need be and makes the unit's requests. It leaves the
// line closed after every error but a refusal: a stream on which something went
// wrong never finds back into step by itself.
func (p *poller) attempt(ctx context.Context, u *unit) (reading, error) {
	if err := p.connect(ctx, u); err != nil {
		return reading{}, err
	}
	got, err := p.requests(ctx, u)
	if err == nil {
		u.wait.reset()
		return got, nil
	}
	if p.line.stream == nil && len(p.units) > 1 {
		u.wait.fail(time.Now())
	}
	return reading{}, err
}

func (p *poller) connect(ctx context.Context, u *unit) error {
	if p.line.stream != nil {
		return nil
	}
	if p.dialed {
		u.counters.Redials++
	}
	if err := p.line.open(ctx, u.meter.Timeout); err != nil {
		p.redial.fail(time.Now())
		return err
	}
	p.redial.reset()
	p.dialed = true
	return nil
}

// requests makes one poll's requests over the open line.
func (p *poller) requests(ctx context.Context, u *unit) (reading, error) {
	id, timeout := byte(u.meter.Unit), u.meter.Timeout
	if u.doubt && !p.line.framing.numbered {
		if err := p.line.resync(ctx, id, timeout, u.plan[0]); err != nil {
			p.line.close()
			return reading{}, err
		}
	}
	u.doubt = false
	values := make(map[string]float64, len(u.meter.Fields))
	var first, last time.Time
	for i, r := range u.plan {
		got, err := p.line.read(ctx, id, timeout, r)
		if err != nil {
			return reading{}, p.failed(u, r, err)
		}
		if err := r.decode(got.registers, values); err != nil {
			return reading{}, err // the device's own number: the stream is in step
		}
		if i == 0 {
			first = got.sent
		}
		last = got.received
	}
	half := last.Sub(first) / 2
	return reading{values: values, time: first.Add(half), uncertainty: half}, nil
}

// failed closes the line unless the device merely refused, and gives up reading
// holes where that may be why.
func (p *poller) failed(u *unit, r Request, err error) error {
	code, ok := refused(err, r)
	if !ok {
		u.doubt = true
		p.line.close()
		return err
	}
	if code == wire.ExceptionCodeIllegalDataAddress && r.holes {
		u.plan = splitPlan(u.meter)
		return fmt.Errorf("%w; from now on the registers between fields are left out", err)
	}
	return err
}
