package modbus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"meltwatch/config"
	"meltwatch/retry"
)

// unit is the state of one meter on its line.
type unit struct {
	name  string
	meter config.Meter
	plan  *readNode
	tick  schedule
	// wait delays a unit that does not answer, so that the others on a shared line lose
	// one timeout each time at most.
	wait backoff
	// replyPending is set while the reply to an earlier request may still arrive.
	replyPending bool
	probes       *probes
	counters     Counters
	faults       *retry.Faults
	setPoint     float64           // the last one above 0, in amperes
	got          reading           // of the latest poll
	lost         map[string]string // as of the poll before it
	quirks       quirks
}

func newUnit(name string, m config.Meter, faults *retry.Faults) *unit {
	u := &unit{
		name:         name,
		meter:        m,
		plan:         newPlan(m),
		tick:         schedule{period: m.Period},
		replyPending: true, // an earlier agent's request may still be answered
		faults:       faults,
		got:          newReading(),
		lost:         map[string]string{},
	}
	u.probes = u.newProbes(false)
	return u
}

// newProbes are the probes for the current reads.
func (u *unit) newProbes(unanswered bool) *probes {
	return &probes{requests: probesFor(u.plan.leaves(), u.meter.ReadMax), unanswered: unanswered}
}

// poller owns one line and polls its units in the order in which they are due.
type poller struct {
	line  *line
	units []*unit // the one with the currents first, if it is on this line

	observe func(Report)
	// deliver gets each good reading, which is valid until the unit's next poll.
	deliver func(*unit, *reading)
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
			continue // another unit may be due before the next tick of this one
		}
		p.poll(ctx, u)
		u.tick.n++
	}
}

// next is the unit that is due first.
func (p *poller) next() *unit {
	first := p.units[0]
	for _, u := range p.units[1:] {
		if u.tick.due().Before(first.tick.due()) {
			first = u
		}
	}
	return first
}

// poll makes one attempt, unless the line or the unit waits after failures.
func (p *poller) poll(ctx context.Context, u *unit) {
	now := time.Now()
	if p.line.redial.waiting(now) || u.wait.waiting(now) {
		u.counters.Missed++
		return
	}
	u.counters.Polls++
	redials := p.line.redials
	err := p.attempt(ctx, u)
	u.counters.Redials += p.line.redials - redials
	if ctx.Err() != nil {
		return // the line was closed on purpose
	}
	// The reading comes first, because somebody waits for it.
	if err == nil {
		p.deliver(u, &u.got)
	}
	p.record(u, err)
}

// record counts, logs and reports a poll.
func (p *poller) record(u *unit, err error) {
	r := Report{Meter: u.name, Time: time.Now(), Err: err}
	fault := err
	if err == nil {
		u.logLost(u.got.lost)
		r.Invalid, r.Degraded = u.got.missing(), u.got.degraded()
		if r.Invalid != "" {
			u.counters.Invalid++
			fault = errors.New(r.Invalid)
		}
	}
	if err != nil {
		u.counters.Errors++
	}
	if fault != nil {
		u.faults.Report(fault)
	} else {
		u.faults.Over()
	}
	r.Quirks = p.line.quirks.report(u.faults.Log)
	if own := u.quirks.report(u.faults.Log); len(own) > 0 {
		r.Quirks = slices.Concat(r.Quirks, own)
	}
	r.Counters = u.counters
	p.observe(r)
}

// logLost logs when an optional quantity goes missing, and when it returns.
func (u *unit) logLost(lost map[string]string) {
	for quantity, why := range lost {
		if _, known := u.lost[quantity]; !known && !isPhase(quantity) {
			u.faults.Log.Warn("quantity missing", "quantity", quantity, "err", why)
		}
	}
	for quantity := range u.lost {
		if _, still := lost[quantity]; !still && !isPhase(quantity) {
			u.faults.Log.Info("quantity available again", "quantity", quantity)
		}
	}
	clear(u.lost)
	maps.Copy(u.lost, lost)
}

// attempt makes the unit's requests, and connects first if necessary. Every error
// except a Modbus exception closes the line: a stream that is out of step does not
// recover by itself.
func (p *poller) attempt(ctx context.Context, u *unit) error {
	u.got.reset()
	if err := p.fetchParts(ctx, u, u.plan.parts, &u.got); err != nil {
		if len(p.units) > 1 && replyOutstanding(err) {
			u.wait.fail(time.Now())
		}
		return err
	}
	u.wait.reset()
	u.got.validate(u.meter, u.setPoint)
	if known := u.got.values[config.FieldSetPoint]; known > 0 {
		u.setPoint = known
	}
	return nil
}

// replyOutstanding reports whether a request was sent whose reply may still arrive.
func replyOutstanding(err error) bool {
	_, refusal := exceptionCode(err)
	return !refusal && !Unreachable(err)
}

// fetch reads a node of the plan, in parts if the device does not accept the whole. A
// part that is refused or not answered does not affect the others, unless it carries
// a current.
func (p *poller) fetch(ctx context.Context, u *unit, n *readNode, got *reading) error {
	if n.divided {
		return p.fetchParts(ctx, u, n.parts, got)
	}
	if err := p.sync(ctx, u); err != nil {
		return err // this says nothing about the read
	}
	answer, err := p.line.read(ctx, byte(u.meter.Unit), u.meter.Timeout, n.request)
	if err == nil {
		n.recordSuccess()
		u.probes.planAnswered()
		return got.decode(n.request, answer)
	}
	u.replyPending = replyOutstanding(err)
	n.recordFailure()
	if Unreachable(err) || ctx.Err() != nil || !n.shouldTryParts(err) {
		return err
	}
	parts := n.parts
	if replyOutstanding(err) {
		// A timeout has passed, so optional fields wait for the next poll.
		parts = n.required()
		got.markLost(n.request, err)
	}
	if p.fetchParts(ctx, u, parts, got) != nil {
		return err
	}
	if n.recordPartSuccess(err) {
		u.quirks.add(fmt.Sprintf("reads are divided, because of: %v", err))
		u.probes = u.newProbes(u.probes.unanswered)
	}
	return nil
}

// fetchParts fails when a part with a current fails, or when none is read.
func (p *poller) fetchParts(ctx context.Context, u *unit, parts []*readNode, got *reading) error {
	var failed []*readNode
	taken := 0
	for _, part := range parts {
		if part.wait.waiting(time.Now()) {
			got.markLost(part.request, part.last)
			continue
		}
		err := p.fetch(ctx, u, part, got)
		if err == nil {
			part.wait.reset()
			taken++
			continue
		}
		if part.carriesCurrent() || ctx.Err() != nil {
			return err
		}
		part.last = err
		failed = append(failed, part)
	}
	if taken == 0 && len(failed) > 0 {
		return failed[0].last
	}
	for _, part := range failed {
		part.wait.fail(time.Now())
		got.markLost(part.request, part.last)
	}
	return nil
}
