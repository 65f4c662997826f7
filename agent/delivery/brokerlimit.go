package delivery

import (
	"cmp"
	"fmt"
	"time"

	"meltwatch/agent/message"
)

// MQTT 3.1.1 has no way for a broker to announce its largest packet: a broker that gets
// a larger one closes the connection, each time it is sent. The limit is therefore
// estimated from what the broker acknowledged and from where connections ended.

// brokerLimit is the estimated packet limit of one broker, in bytes of topic and
// payload.
type brokerLimit struct {
	// passed is the largest message that was acknowledged.
	passed int
	// pack bounds a pack of samples; 0 means no bound.
	pack int
	// refused is the size of the smallest message that counts as refused; 0 for none.
	// Such a message is tried again at retryAt, after a wait that grows with the number
	// of refusals.
	refused  int
	retryAt  time.Time
	refusals int
	// suspect is the size of the message at which the last connection ended; strikes is
	// the number of connections in a row that ended at that size or less.
	suspect, strikes int
	// shrunk is the bound of a pack that was logged last.
	shrunk int
	// delivered is the size of the largest probe that came back, which bounds a pack; 0
	// without probing. probed reports whether probing is finished on this connection,
	// wanting that a larger pack waits. silent is the smallest size that did not come
	// back.
	delivered int
	cameBack  bool // a probe came back
	probed    bool
	wanting   bool
	silent    int
	silentAt  time.Time
}

// refusedAfter is the number of connections in a row that must end at a message before
// it counts as refused: a bad network may end fewer by chance.
const refusedAfter = 3

// The network may have been the cause after all, so a refused message is tried again.
const (
	minRetry = time.Minute
	maxRetry = time.Hour
)

// leastPack is the least bound of a pack in bytes: one sample with its topic.
const leastPack = 600

// acked records a message that the broker acknowledged.
func (l *brokerLimit) acked(size int) {
	l.passed = max(l.passed, size)
	if size >= l.suspect {
		l.suspect, l.strikes = 0, 0
	}
	if l.refused > 0 && size >= l.refused { // the size was not the cause
		l.refused = 0
	}
}

// ended records the message at which a connection was lost: the first unacknowledged
// one that is larger than any acknowledged one. clear reports whether the broker
// acknowledged a message on that connection; otherwise PUBACKs may have been lost with
// it. It reports whether the message counts as refused now.
func (l *brokerLimit) ended(size int, clear bool) bool {
	if size <= l.passed {
		return false
	}
	// Packs shrink at once: a smaller pack costs little if the size was not the cause.
	l.pack = max(min(size/2, cmp.Or(l.pack, size)), l.passed, leastPack)
	if !clear {
		return false
	}
	if l.strikes > 0 && size <= l.suspect {
		l.strikes++
	} else {
		l.strikes = 1
	}
	l.suspect = size
	if l.strikes < refusedAfter {
		return false
	}
	l.refused, l.strikes = size, 0
	l.retryAt = time.Now().Add(min(minRetry<<min(l.refusals, 10), maxRetry))
	l.refusals++
	return true
}

// retry admits a refused message once more when its wait is over. One more connection
// that ends there refuses it again.
func (l *brokerLimit) retry() {
	if l.refused > 0 && time.Now().After(l.retryAt) {
		l.suspect, l.strikes, l.refused = l.refused, refusedAfter-1, 0
	}
}

// admits reports whether a message may be sent.
func (l *brokerLimit) admits(size int) bool { return l.refused == 0 || size < l.refused }

// fits reports whether a pack of samples may have a size.
func (l *brokerLimit) fits(size int) bool {
	if l.delivered > 0 && l.delivered < mostPack && size > l.delivered {
		l.wanting = true
		return false
	}
	return l.pack == 0 || size <= l.pack
}

// limitOf returns the limit of a broker. The lock is held.
func (p *Publisher) limitOf(url string) *brokerLimit {
	if p.limits[url] == nil {
		p.limits[url] = &brokerLimit{}
	}
	return p.limits[url]
}

// tooLarge is the error of a message that the broker refuses.
type tooLarge struct {
	broker string
	topic  string
	size   int
}

// Error names the message and the remedy.
func (e *tooLarge) Error() string {
	return fmt.Sprintf("%s closes the connection at %s of %d bytes: such messages are kept back; raise the broker's largest packet (mosquitto: max_packet_size)",
		e.broker, e.topic, e.size)
}

// size is a message's size as brokerLimit counts it.
func (p *Publisher) size(topic string, payload []byte) int {
	return len(p.root) + len(topic) + len(payload)
}

// cutOff updates the limit after a connection was lost.
func (c *Connection) cutOff() {
	p := c.publisher
	p.mu.Lock()
	at := sent{}
	for _, m := range c.inFlight {
		if m.size > p.limit.passed && m.topic != message.TopicAvailability && (at.order == 0 || m.order < at.order) {
			at = m
		}
	}
	var refused *tooLarge
	shrunk := 0
	if at.order != 0 {
		if p.limit.ended(at.size, c.acked && !at.probe) {
			refused = &tooLarge{p.broker, at.topic, at.size}
			p.kept = refused
		}
		if p.limit.pack != p.limit.shrunk && at.topic == message.TopicHistory+string(message.ClassCurrent) {
			p.limit.shrunk, shrunk = p.limit.pack, p.limit.pack
		}
	}
	p.mu.Unlock()
	if shrunk > 0 {
		p.log.Warn("history messages made smaller: the broker closed the connection at one", "bytes", at.size, "most", shrunk)
	}
	if refused != nil {
		p.log.Warn("message kept back", "err", refused)
		p.Event(message.Event{Stamp: p.stamper.Stamp(string(message.ClassEvent), time.Now()), Kind: "broker", Subject: at.topic, To: "refused", Cause: refused.Error()})
	}
}

// keepBack sets a message aside that the broker refuses. It is counted. Its records
// stay in the outbox, or go there, until the message is tried again or another broker
// is connected. The lock is held.
func (p *Publisher) keepBack(topic string, size int, records []*record) {
	p.keptBack++
	p.kept = &tooLarge{p.broker, topic, size}
	for _, r := range records {
		r.sending = false
		if r.number != 0 { // it stays held in the outbox
			p.setAside = append(p.setAside, &record{class: r.class, number: r.number})
		}
	}
}

// useBroker selects the limit of the connected broker. Records that another broker
// refused are sent again.
func (p *Publisher) useBroker(name, url string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.limit == p.limitOf(url) {
		return
	}
	p.limit, p.broker = p.limitOf(url), name
	p.release()
}

// release queues the messages that were set aside. The lock is held.
func (p *Publisher) release() {
	p.kept = nil
	for _, r := range p.setAside {
		p.returns.add(r)
	}
	p.setAside = nil
	for topic := range p.retained {
		if topic != message.TopicState { // the next second publishes a new one
			p.changed[topic] = true
		}
	}
	p.wakeSpooler()
}
