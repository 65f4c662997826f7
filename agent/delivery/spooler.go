package delivery

import (
	"context"
	"time"

	"meltwatch/agent/message"
)

// The keeper is the one goroutine of the publisher that may wait for the disk.
// So neither the furnace's watch nor the live stream ever does, events excepted,
// which are published only once the outbox has them.

const (
	// ackGrace is how long a state or current record may stay unacknowledged
	// before it goes to the outbox. A healthy link keeps within it, and writes
	// nothing.
	ackGrace = time.Second
	// spoolEvery is how often the keeper does.
	spoolEvery = 250 * time.Millisecond
	// prefetch is how many records of history lie ready to be sent.
	prefetch = 1024
)

// spool runs until ctx ends; then it stores whatever is not acknowledged.
func (p *Publisher) spool(ctx context.Context) {
	tick := time.NewTicker(spoolEvery)
	defer tick.Stop()
	for {
		p.Round()
		select {
		case <-ctx.Done():
			p.Flush()
			return
		case <-tick.C:
		case <-p.work:
		}
	}
}

// Round is one round of the keeper: it stores what is due, tells the outbox what
// was acknowledged, and takes history out of it. Run calls it, several times a
// second; it may wait for the disk.
func (p *Publisher) Round() {
	p.store(ackGrace)
	p.outbox.Sync()
	p.settle()
	p.fetch()
	if time.Since(p.stocked) >= time.Second {
		p.stocked = time.Now()
		p.noteCounters(p.outbox.Counters())
	}
}

// Flush is the keeper's last round: it stores whatever is not acknowledged.
func (p *Publisher) Flush() {
	p.store(0)
	p.settle()
	p.outbox.Sync()
}

// noteCounters stock of the outbox, for who asks.
func (p *Publisher) noteCounters(stock map[string]uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stock = stock
}

// store puts into the outbox what is due: every event, and all the rest once the
// oldest of it has waited for long enough: so what an outage keeps back is
// committed in groups.
func (p *Publisher) store(long time.Duration) {
	for _, r := range p.due(long) {
		number := p.outbox.Append(string(r.class), r.payload)
		p.stored(r, number)
	}
}

// due takes the records to store out of fresh, oldest first.
func (p *Publisher) due(long time.Duration) (due []*record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	late := false
	for _, r := range p.fresh {
		late = late || r.class != message.ClassEvent && !r.acked && now.Sub(r.made) >= long
	}
	rest := p.fresh[:0]
	left := map[message.Class]bool{} // whose later records must wait, for the order's sake
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

// stored notes a record's number, and what became of it meanwhile. An event goes
// on to the live stream from here.
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

// settle tells the outbox what was acknowledged and what came back.
func (p *Publisher) settle() {
	p.mu.Lock()
	acks, returns := p.acks, p.returns
	p.acks, p.returns = numbers{}, numbers{}
	p.mu.Unlock()
	for class, list := range acks {
		p.outbox.Ack(string(class), list)
	}
	for class, list := range returns {
		p.outbox.Return(string(class), list)
	}
}

// fetch keeps history ready while a broker listens, the worthiest class first.
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
