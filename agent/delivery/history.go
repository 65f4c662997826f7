package delivery

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"meltwatch/agent/message"
)

// setConnected notes that a connection began or ended. Samples that a connection finds
// before they are due for the outbox are sent live: they are as recent as those of a slow
// broker, and a meter that answers before the broker does costs no write to the disk.
func (p *Publisher) setConnected(connected bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.connected = connected
	if connected {
		for _, r := range p.fresh {
			if r.class == message.ClassCurrent && !r.sending && !r.acked && time.Since(r.made) < ackGrace {
				r.sending = p.sendLive(r)
			}
		}
	}
	p.wakeSpooler()
}

// acknowledged marks the records of a message as delivered.
func (p *Publisher) acknowledged(m sent) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.acked++
	p.limit.acked(m.size)
	if m.probe {
		p.probing.acked = time.Now()
		return
	}
	p.healthAcked = p.healthAcked || m.topic == message.TopicHealth
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

// requeue handles the records that a lost connection left: unacknowledged ones, and
// those waiting to be sent. Records in the outbox are returned to it; the others are
// still fresh and will be stored.
func (p *Publisher) requeue(inFlight map[uint64]sent) {
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

// Backlog reports whether history is ready to be sent.
func (p *Publisher) Backlog() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.history) > 0
}

// nextHistory takes the next message of history: one record, or a pack of current
// within the broker's limit. A message that the broker refuses is set aside.
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

// takeHistory takes the oldest record and, for current, as many more as fit into a
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
		return topic, message.Pack(p.payloads(records), true), records
	}
	return topic, message.Historical(p.payloads(records)[0]), records
}

// payloads returns the records' payloads with corrected stamps.
func (p *Publisher) payloads(records []*record) [][]byte {
	payloads := make([][]byte, len(records))
	for i, r := range records {
		payloads[i] = p.stamper.Restamp(r.class, r.payload)
	}
	return payloads
}

// pace spaces history messages. A short delay is made up for, a pause is not: otherwise
// a burst would follow it.
type pace struct{ next time.Time }

func (p *pace) ready(now time.Time) bool { return !now.Before(p.next) }

func (p *pace) sent(now time.Time, rate int) {
	const catchUp = 50 * time.Millisecond
	if oldest := now.Add(-catchUp); p.next.Before(oldest) {
		p.next = oldest
	}
	p.next = p.next.Add(time.Second / time.Duration(rate))
}

// packSamples is the largest number of samples in a message: ten seconds at 2 Hz.
const packSamples = 20
