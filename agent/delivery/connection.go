package delivery

import (
	"fmt"
	"time"

	"meltwatch/agent/message"
)

const (
	ackTimeout = 10 * time.Second
	// window is how many messages may be unacknowledged at a time.
	window = 32
	// historyWindow is how many may be when another message of history goes out:
	// the rest of the window is for the living.
	historyWindow = window / 2
)

// Link carries messages to a broker over one connection.
type Link interface {
	// Publish hands over a message with QoS 1, after all before it, and returns the
	// id that its PUBACK will bear; 0 when it was not taken.
	Publish(topic string, retained bool, payload []byte) (id uint16)
}

// Connection is the publisher's account of one connection: what was sent on it,
// and what of that was acknowledged. It has no goroutine and never waits. Run
// steps it over the wire; whoever owns the time may step it over another Link.
// It belongs to one goroutine.
type Connection struct {
	publisher *Publisher
	link      Link
	inFlight  map[uint64]sent
	history   pace
	order     uint64 // messages sent so far
	acked     bool   // a message was acknowledged
	left      bool   // on purpose
}

// sent is a message that waits for its PUBACK.
type sent struct {
	order   uint64    // of sending, on this connection
	topic   string    // below the root
	records []*record // what to keep should it never come
	size    int       // bytes of topic and payload
	at      time.Time
	probe   bool // of what the broker bears
}

// Connect begins a connection over link: the retained topics are made true again
// before anything else is said.
func (p *Publisher) Connect(link Link) *Connection {
	c := &Connection{publisher: p, link: link, inFlight: map[uint64]sent{}}
	c.publish(message.TopicAvailability, true, []byte(message.Online), nil)
	p.mu.Lock()
	p.announced = time.Now()
	state, health := p.retained[message.TopicState], p.retained[message.TopicHealth]
	p.changed = map[string]bool{}
	for topic := range p.retained {
		if topic != message.TopicState && topic != message.TopicHealth {
			p.changed[topic] = true // said after the greeting
		}
	}
	p.mu.Unlock()
	if state != nil && p.mayPass(message.TopicState, state) {
		c.publish(message.TopicState, true, p.stamper.Restamp(message.ClassState, state), nil)
	}
	if health != nil && p.mayPass(message.TopicHealth, health) {
		c.publish(message.TopicHealth, true, health, nil)
	}
	p.setConnected(true)
	return c
}

var errNoAck = fmt.Errorf("broker acknowledged nothing for %s", ackTimeout)

// Step fills the window: live records first, then retained topics and answers, then history. Its
// error ends the connection: the broker does not acknowledge.
func (c *Connection) Step() error {
	for len(c.inFlight) < window {
		topic, retained, payload, records := c.publisher.next()
		if payload == nil {
			break
		}
		c.publish(topic, retained, payload, records)
	}
	// What the broker may refuse waits for its first PUBACK: a connection that ends at
	// once would not show why.
	for c.acked && len(c.inFlight) < historyWindow && c.history.ready(time.Now()) {
		topic, payload, records := c.publisher.nextHistory()
		if payload == nil {
			break
		}
		c.history.sent(time.Now(), c.publisher.settings.HistoryRate)
		c.publish(topic, false, payload, records)
	}
	for _, m := range c.inFlight {
		if time.Since(m.at) > ackTimeout {
			return errNoAck
		}
	}
	return nil
}

// publish sends one message; records are kept until it is acknowledged.
func (c *Connection) publish(topic string, retained bool, payload []byte, records []*record) (key uint64) {
	id := c.link.Publish(c.publisher.root+topic, retained, payload)
	c.publisher.mu.Lock()
	c.publisher.published++
	c.publisher.mu.Unlock()
	c.order++
	key = notSent + c.order // a message that was not taken waits for the connection's end
	if id != 0 {
		key = uint64(id)
	}
	c.inFlight[key] = sent{order: c.order, topic: topic, records: records, size: c.publisher.size(topic, payload), at: time.Now()}
	return key
}

// notSent is beyond every message id.
const notSent = 1 << 16

// Acknowledge strikes the messages whose PUBACKs came.
func (c *Connection) Acknowledge(ids []uint16) {
	for _, id := range ids {
		m, ours := c.inFlight[uint64(id)]
		if !ours {
			continue
		}
		c.acked = true
		c.publisher.acknowledged(m)
		delete(c.inFlight, uint64(id))
	}
}

// Unacknowledged is how many messages wait for their PUBACKs.
func (c *Connection) Unacknowledged() int { return len(c.inFlight) }

// Leave says that the end, which is to follow, is planned.
func (c *Connection) Leave() {
	c.left = true
	c.publish(message.TopicAvailability, true, []byte(message.Offline), nil)
}

// End puts what was not acknowledged back.
func (c *Connection) End() {
	if !c.left {
		c.cutOff()
	}
	c.publisher.setConnected(false)
	c.publisher.giveBack(c.inFlight)
}

// next takes what should be sent next on a live topic; payload is nil when
// nothing waits. What the broker is known to refuse is set aside.
func (p *Publisher) next() (topic string, retained bool, payload []byte, records []*record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		topic, retained, payload, records = p.upcoming()
		if payload == nil {
			return topic, retained, nil, nil
		}
		size := p.size(topic, payload)
		if p.limit.admits(size) {
			return topic, retained, payload, records
		}
		p.keepBack(topic, size, records)
	}
}

// upcoming is called with the lock held.
func (p *Publisher) upcoming() (topic string, retained bool, payload []byte, records []*record) {
	if len(p.live) > 0 {
		r := p.live[0]
		p.live = p.live[1:]
		records = []*record{r}
		if r.class == message.ClassCurrent {
			return message.TopicCurrent, false, message.Pack(p.leaving(records), false), records
		}
		return string(r.class), r.class == message.ClassState, p.leaving(records)[0], records
	}
	if topic, payload := p.nextChanged(); payload != nil {
		return topic, true, payload, nil
	}
	if a, ok := p.nextAnswer(); ok {
		return a.topic, false, a.payload, nil
	}
	return "", false, nil, nil
}

// mayPass reports whether the broker is not known to refuse a message.
func (p *Publisher) mayPass(topic string, payload []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.limit.admits(p.size(topic, payload))
}
