package delivery

import (
	"context"
	"time"

	"meltwatch/agent/message"
	"meltwatch/tick"
)

// The spooler is the only goroutine of the publisher that may wait for the disk. The
// decision loop and the live stream never wait for it, except for events, which are
// published only once the outbox has stored them.

const (
	// ackGrace is how long a state or current record may stay unacknowledged before it
	// is stored in the outbox. On a healthy connection nothing is written.
	ackGrace = time.Second
	// spoolEvery is the interval of the spooler's rounds, and idleEvery the interval while it is
	// idle. A record that is made after an idle round becomes due after the next one.
	spoolEvery = 250 * time.Millisecond
	idleEvery  = ackGrace
	// durableAfter is how long after an acknowledgement the outbox has surely noted it.
	durableAfter = time.Second + 2*spoolEvery
	// prefetch is the number of history records that are ready to be sent.
	prefetch = 1024
)

// spool runs until ctx ends; then it stores all unacknowledged records.
func (p *Publisher) spool(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		every := p.Round()
		timer.Reset(tick.Until(time.Now(), every))
		select {
		case <-ctx.Done():
			p.Flush()
			return
		case <-timer.C:
		case <-p.spoolerWakeup:
		}
	}
}

// idle reports whether the spooler has nothing to do until another record is made or the
// connection fails: the broker has acknowledged all records, and the outbox, whose counters are
// given, has noted it.
func (p *Publisher) idle(counters map[string]uint64) bool {
	if !p.allSent() || time.Since(p.settled) < durableAfter {
		return false
	}
	for _, class := range message.Classes() {
		if counters["waiting_"+string(class)] > 0 {
			return false
		}
	}
	return true
}

// allSent reports whether nothing waits for the spooler or the connection.
func (p *Publisher) allSent() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.connected && len(p.fresh) == 0 && len(p.history) == 0 && len(p.acks) == 0 && len(p.returns) == 0
}

// Round is one round of the spooler: it stores due records, passes acknowledgements to
// the outbox, and takes history from it. It may wait for the disk. The next round is due at the
// next common instant of the returned interval, or sooner if a record or the connection needs it.
func (p *Publisher) Round() (every time.Duration) {
	p.store(ackGrace)
	p.settle()
	p.outbox.Sync()
	p.fetch()
	if time.Since(p.countersRead) < idleEvery-spoolEvery/2 { // once a second, also if the round is a little early
		return spoolEvery
	}
	p.countersRead = time.Now()
	counters := p.outbox.Counters()
	p.storeCounters(counters)
	if p.idle(counters) {
		return idleEvery
	}
	return spoolEvery
}

// Flush is the spooler's last round: it stores all unacknowledged records.
func (p *Publisher) Flush() {
	p.store(0)
	p.settle()
	p.outbox.Sync()
}

// storeCounters stores the outbox's counters for Counters, which must not wait for the
// disk.
func (p *Publisher) storeCounters(counters map[string]uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.outboxCounters = counters
}

// store appends the due records to the outbox: every event, and all other records once
// the oldest of them has waited for long enough. In an outage, records are thereby
// committed in groups.
func (p *Publisher) store(long time.Duration) {
	for _, r := range p.due(long) {
		number := p.outbox.Append(string(r.class), r.payload)
		p.stored(r, number)
	}
}

// due removes the records to store from fresh, oldest first.
func (p *Publisher) due(long time.Duration) (due []*record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	late := false
	for _, r := range p.fresh {
		late = late || r.class != message.ClassEvent && !r.acked && now.Sub(r.made) >= long
	}
	rest := p.fresh[:0]
	left := map[message.Class]bool{} // classes whose later records must wait, to keep the order
	for _, r := range p.fresh {
		switch {
		case r.acked:
		case r.class == message.ClassEvent, late && !left[r.class] && (!r.sending || now.Sub(r.made) >= long):
			due = append(due, r)
		default:
			left[r.class] = true
			rest = append(rest, r)
		}
	}
	clear(p.fresh[len(rest):])
	p.fresh = rest
	return due
}

// stored sets a record's number, and passes on what has happened to it meanwhile. An
// event is queued for the live topic here.
func (p *Publisher) stored(r *record, number uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r.number = number
	if r.class == message.ClassEvent && !r.acked {
		r.sending = p.sendLive(r)
	}
	switch {
	case number == 0:
	case r.acked:
		p.acks.add(r)
	case !r.sending:
		p.returns.add(r)
	}
}

// settle passes acknowledged and returned records to the outbox.
func (p *Publisher) settle() {
	p.mu.Lock()
	var acks, returns numbers
	if len(p.acks) > 0 {
		acks, p.acks = p.acks, numbers{}
	}
	if len(p.returns) > 0 {
		returns, p.returns = p.returns, numbers{}
	}
	p.mu.Unlock()
	if len(acks) > 0 {
		p.settled = time.Now()
	}
	for class, list := range acks {
		p.outbox.Ack(string(class), list)
	}
	for class, list := range returns {
		p.outbox.Return(string(class), list)
	}
}

// fetch keeps history ready while a broker is connected, in order of priority.
func (p *Publisher) fetch() {
	p.mu.Lock()
	room := 0
	if p.connected && len(p.history) < prefetch/2 {
		room = prefetch - len(p.history)
	}
	p.mu.Unlock()
	for _, class := range message.Classes() {
		if room <= 0 {
			return
		}
		list, payloads := p.outbox.Take(string(class), room)
		room -= len(list)
		p.fetched(class, list, payloads)
	}
}

func (p *Publisher) fetched(class message.Class, list []uint64, payloads [][]byte) {
	if len(list) == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, number := range list {
		r := &record{class: class, payload: payloads[i], keep: true, sending: true, number: number}
		if !p.connected {
			r.sending = false
			p.returns.add(r)
			continue
		}
		p.history = append(p.history, r)
	}
	p.wake()
}
