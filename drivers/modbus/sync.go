package modbus

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// RTU frames carry no number: after a timeout the late reply would be taken for the
// next one, and so would each reply after it. So the driver first requests another
// length. Replies arrive in order, so once this one has arrived no earlier one is
// outstanding. A device may not answer such a request: some do not answer reads of one
// register, some answer only reads of a whole block. So the driver tries several
// lengths, those within the configured fields first. If the unit answers none, the
// driver waits until the line is silent.

// probes are the requests that distinguish late replies from new ones.
type probes struct {
	requests        []request
	at              int  // index of the next one; kept after a success
	failed          int  // in a row
	unanswered      bool // the unit answers reads but no probe
	silenceObserved bool // the line was silent instead
}

// probesFor gives lengths that none of the plan's requests has: the first fields of
// its first request, then some that reach beyond them, even ones first.
func probesFor(plan []request, most int) (all []request) {
	first := plan[0]
	usual := map[int]bool{}
	for _, r := range plan {
		usual[int(r.Quantity)] = true
	}
	var within []int
	for _, f := range first.fields {
		within = append(within, f.end()-int(first.Address))
	}
	slices.SortStableFunc(within, func(a, b int) int { return a%2 - b%2 })
	for _, quantity := range append(within, 2, 4, 1, 3) {
		if usual[quantity] || quantity > most || len(all) == maxProbes {
			continue
		}
		usual[quantity] = true
		all = append(all, request{
			Function: first.Function,
			Address:  min(first.Address, uint16(0x10000-quantity)),
			Quantity: uint16(quantity),
		})
	}
	return all
}

// maxProbes bounds how many polls are lost to a device that answers no probe.
const maxProbes = 3

// sync makes sure that no earlier reply of the unit is outstanding.
func (p *poller) sync(ctx context.Context, u *unit) error {
	if !u.replyPending || p.line.framing.numbered {
		return nil
	}
	b := u.probes
	if b.unanswered || b.failed >= len(b.requests) {
		if err := p.line.awaitSilence(ctx, u.meter.Timeout); err != nil {
			return err
		}
		u.replyPending, b.failed, b.silenceObserved = false, 0, true
		return nil
	}
	_, err := p.line.read(ctx, byte(u.meter.Unit), u.meter.Timeout, b.requests[b.at])
	if Unreachable(err) {
		return err
	}
	if _, refusal := exceptionCode(err); err != nil && !refusal {
		b.failed++
		b.at = (b.at + 1) % len(b.requests)
		return fmt.Errorf("clear the line of late replies: %w", err)
	}
	u.replyPending, b.failed, b.silenceObserved = false, 0, false
	return nil
}

// planAnswered notes that the unit answers the plan's own reads.
func (b *probes) planAnswered() {
	b.unanswered = b.unanswered || b.silenceObserved
	b.silenceObserved = false
}

// awaitSilence discards input until the line has been silent for the timeout. It gives
// up after twice the timeout.
func (l *line) awaitSilence(ctx context.Context, timeout time.Duration) error {
	if l.stream == nil {
		if err := l.open(ctx, timeout); err != nil {
			return err
		}
	}
	last := time.Now().Add(2 * timeout)
	var discarded [256]byte
	for until := time.Now().Add(timeout); until.Before(last); until = time.Now().Add(timeout) {
		if err := l.stream.SetDeadline(until); err != nil {
			return fmt.Errorf("set deadline: %w", err)
		}
		if _, err := l.stream.Read(discarded[:]); err != nil {
			break // silent, or closed: the next request reports the fault
		}
	}
	return ctx.Err()
}
