package delivery

import (
	"fmt"
	"time"

	"meltwatch/agent/message"
)

// MQTT 3.1.1 does not tell how large a packet a broker takes: one that gets a
// larger one closes the connection, and would do so again at each connection. What a
// broker bears is therefore learnt from what it acknowledged and where it left off.

// brokerLimit is what one broker bears, in bytes of topic and payload.
type brokerLimit struct {
	// passed is the largest message that was acknowledged.
	passed int
	// pack bounds a pack of history; 0 while nothing says that it must.
	pack int
	// refused is the smallest message that was refused for certain; 0 for none. It is
	// tried again at a time, which is later with each verdict.
	refused  int
	again    time.Time
	verdicts int
	// suspect is the size of the message at which the last connection ended, and
	// strikes how many in a row ended at one of that size or less.
	suspect, strikes int
	// shrunk is the pack's bound that was logged last.
	shrunk int
	// heard bounds a pack to what came back as a probe; 0 where nothing is heard.
	// probed says that nothing more is to be found out on this connection, wanting
	// that a larger pack waits, silent is the least size that did not come back.
	heard    int
	cameBack bool // a probe did
	probed   bool
	wanting  bool
	silent   int
	silentAt time.Time
}

// certain is how many connections in a row must end at a message before it counts as
// refused: a network may cut as many by chance.
const certain = 3

// A verdict may be chance's work after all, so what it keeps back is tried again.
const (
	soonestAgain = time.Minute
	latestAgain  = time.Hour
)

// leastPack is the least bound of a pack: one sample with its topic.
const leastPack = 600

// acked notes a message that the broker took.
func (l *brokerLimit) acked(size int) {
	l.passed = max(l.passed, size)
	if size >= l.suspect {
		l.suspect, l.strikes = 0, 0
	}
	if l.refused > 0 && size >= l.refused { // it was not the size, after all
		l.refused = 0
	}
}

// ended notes at which message a connection ended that was not ended on purpose:
// the first that was not acknowledged and is larger than any that was. Clear says
// that the broker acknowledged a message on that connection; the PUBACKs of others
// may be lost with the connection's end. It reports whether that message is now
// refused for certain.
func (l *brokerLimit) ended(size int, clear bool) bool {
	if size <= l.passed {
		return false
	}
	// Packs shrink at once: that costs next to nothing if the size was not the cause.
	l.pack = max(min(size/2, either(l.pack, size)), l.passed, leastPack)
	if !clear {
		return false
	}
	if l.strikes > 0 && size <= l.suspect {
		l.strikes++
	} else {
		l.strikes = 1
	}
	l.suspect = size
	if l.strikes < certain {
		return false
	}
	l.refused, l.strikes = size, 0
	l.again = time.Now().Add(min(soonestAgain<<min(l.verdicts, 10), latestAgain))
	l.verdicts++
	return true
}

// retry lets what was refused pass once more, where it is time for it. Another
// connection that ends there is the whole proof.
func (l *brokerLimit) retry() {
	if l.refused > 0 && time.Now().After(l.again) {
		l.suspect, l.strikes, l.refused = l.refused, certain-1, 0
	}
}

func either(bound, instead int) int {
	if bound == 0 {
		return instead
	}
	return bound
}

// admits reports whether a message may be sent.
func (l *brokerLimit) admits(size int) bool { return l.refused == 0 || size < l.refused }

// fits reports whether a pack of history may be so large.
func (l *brokerLimit) fits(size int) bool {
	if l.heard > 0 && l.heard < mostPack && size > l.heard {
		l.wanting = true
		return false
	}
	return l.pack == 0 || size <= l.pack
}

// limitOf is what is known of a broker. The lock is held.
func (p *Publisher) limitOf(url string) *brokerLimit {
	if p.limits[url] == nil {
		p.limits[url] = &brokerLimit{}
	}
	return p.limits[url]
}

// tooLarge is a message that the broker never takes.
type tooLarge struct {
	broker string
	topic  string
	size   int
}

// Error says what to do.
func (e *tooLarge) Error() string {
	return fmt.Sprintf("%s closes the connection at %s of %d bytes: such messages are kept back; raise the broker's largest packet (mosquitto: max_packet_size)",
		e.broker, e.topic, e.size)
}

// size of a message as the limit counts it.
func (p *Publisher) size(topic string, payload []byte) int {
	return len(p.root) + len(topic) + len(payload)
}

// cutOff learns from the end of a connection that was not ended on purpose.
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
		p.log.Warn("history goes in smaller messages: the broker closed the connection at one", "bytes", at.size, "most", shrunk)
	}
	if refused != nil {
		p.log.Warn("message kept back", "cause", refused)
		p.Event(message.Event{Stamp: p.stamper.Stamp(string(message.ClassEvent), time.Now()), Kind: "broker", Subject: at.topic, To: "refused", Cause: refused.Error()})
	}
}

// keepBack sets a message aside that the broker does not take: it is counted, and a
// record of it stays in the outbox, or goes there, until it is tried again or another
// broker is connected. The lock is held.
func (p *Publisher) keepBack(topic string, size int, records []*record) {
	p.keptBack++
	p.kept = &tooLarge{p.broker, topic, size}
	for _, r := range records {
		r.sending = false
		if r.number != 0 { // in the outbox it stays held
			p.aside = append(p.aside, &record{class: r.class, number: r.number})
		}
	}
}

// useBroker makes a broker the one that the limits are learnt of. Records that
// another one refused may pass here.
func (p *Publisher) useBroker(name, url string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.limit == p.limitOf(url) {
		return
	}
	p.limit, p.broker = p.limitOf(url), name
	p.release()
}

// release has what was set aside sent again. The lock is held.
func (p *Publisher) release() {
	p.kept = nil
	for _, r := range p.aside {
		p.returns.add(r)
	}
	p.aside = nil
	for topic := range p.retained {
		if topic != message.TopicState { // the next second's comes by itself
			p.changed[topic] = true
		}
	}
	p.wakeSpooler()
}
