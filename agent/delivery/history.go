package delivery

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"meltwatch/agent/message"
)

func (p *Publisher) setConnected(connected bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.connected = connected
	p.wakeSpooler()
}

// acknowledged ends the records of a message whose PUBACK came.
func (p *Publisher) acknowledged(m sent) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.acked++
	p.limit.acked(m.size)
	if m.probe {
		p.probing.acked = time.Now()
		return
	}
	p.spoken = p.spoken || m.topic == message.TopicHealth
	if m.topic == message.TopicHealth && p.echo.acked.IsZero() {
		p.echo.acked = time.Now()
	}
	for _, r := range m.records {
		r.acked, r.sending = true, false
		if r.number != 0 {
			p.acks.add(r)
		}
	}
}

// giveBack lets go of what a lost connection left: sent and not acknowledged, or
// waiting to be sent. What is in the outbox waits there again, what is not is
// still fresh and goes there.
func (p *Publisher) giveBack(inFlight map[uint64]sent) {
	messages := slices.SortedFunc(maps.Values(inFlight), func(a, b sent) int { return cmp.Compare(a.order, b.order) })
	p.mu.Lock()
	defer p.mu.Unlock()
	var back []*record
	for _, m := range messages {
		back = append(back, m.records...)
	}
	back = append(append(back, p.live...), p.history...)
	p.live, p.history = nil, nil
	for _, r := range back {
		r.sending = false
		if r.number != 0 {
			p.returns.add(r)
		}
	}
	p.wakeSpooler()
}

// Backlog reports whether history lies ready.
func (p *Publisher) Backlog() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.history) > 0
}

// nextHistory takes the next message of history: one record, or a pack of
// current that the broker bears. What it is known to refuse is set aside.
func (p *Publisher) nextHistory() (topic string, payload []byte, records []*record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.history) > 0 && !p.limit.wantsProbe() {
		topic, payload, records = p.takeHistory()
		size := p.size(topic, payload)
		if p.limit.admits(size) {
			return topic, payload, records
		}
		p.keepBack(topic, size, records)
	}
	return "", nil, nil
}

// takeHistory takes the oldest record, and of current as many more as make a
// message. The lock is held.
func (p *Publisher) takeHistory() (topic string, payload []byte, records []*record) {
	class := p.history[0].class
	topic = message.TopicHistory + string(class)
	n := 1
	if class == message.ClassCurrent {
		size := p.size(topic, nil) + message.PackOverhead + len(p.history[0].payload)
		for ; n < min(packSamples, len(p.history)) && p.history[n].class == class; n++ {
			if size += len(p.history[n].payload) + 1; !p.limit.fits(size) {
				break
			}
		}
	}
	records = slices.Clone(p.history[:n])
	clear(p.history[:n])
	p.history = p.history[n:]
	if len(p.history) < prefetch/2 {
		p.wakeSpooler()
	}
	if class == message.ClassCurrent {
		return topic, message.Pack(p.leaving(records), true), records
	}
	return topic, message.Historical(p.leaving(records)[0]), records
}

// leaving is the records' payloads as they are to be sent.
func (p *Publisher) leaving(records []*record) [][]byte {
	payloads := make([][]byte, len(records))
	for i, r := range records {
		payloads[i] = p.stamper.Restamp(r.class, r.payload)
	}
	return payloads
}

// pace spaces history messages. A round that came late may be caught up with, a
// pause may not: else the first moment after it were a flood.
type pace struct{ next time.Time }

func (c *pace) ready(now time.Time) bool { return !now.Before(c.next) }

func (c *pace) sent(now time.Time, rate int) {
	const catchUp = 50 * time.Millisecond
	if oldest := now.Add(-catchUp); c.next.Before(oldest) {
		c.next = oldest
	}
	c.next = c.next.Add(time.Second / time.Duration(rate))
}

// packSamples is how many samples one history message holds: ten seconds at 2 Hz.
const packSamples = 20
