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
	// historyWindow is how many may be unacknowledged when a message of history is
	// sent: the rest of the window is reserved for live messages.
	historyWindow = window / 2
	// currentWindow is how many live messages of current may be unacknowledged. While
	// the broker keeps up, each sample is a message of its own and is sent at once.
	// Samples that wait are sent together. A meter that is read 20 times a second does not
	// wait at a broker that acknowledges within 800 ms; with fewer, samples would wait
	// longer than ackGrace there, and be written to the outbox. At 100 times a second the
	// seventeenth waits for the first PUBACK and is acknowledged after two round trips less
	// 160 ms, so within ackGrace at a broker that acknowledges within 580 ms.
	currentWindow = window / 2
)

// Link carries messages to a broker over one connection.
type Link interface {
	// Publish hands over a message with QoS 1, after all before it, and returns the id
	// of its PUBACK; 0 if it was not accepted.
	Publish(topic string, retained bool, payload []byte) (id uint16)
}

// Connection tracks what was sent on one connection and what was acknowledged. It has
// no goroutine and never waits: Run steps it over MQTT, and a simulation steps it over
// another Link. It belongs to one goroutine.
type Connection struct {
	publisher *Publisher
	link      Link
	inFlight  map[uint64]sent
	history   pace
	order     uint64 // messages sent so far
	acked     bool   // a message was acknowledged
	left      bool   // the end is planned
	current   string // topic of current, with the root
}

// sent is a message that waits for its PUBACK.
type sent struct {
	order   uint64    // position in the order of sending on this connection
	topic   string    // below the root
	records []*record // kept if the PUBACK never arrives
	size    int       // bytes of topic and payload
	at      time.Time
	probe   bool // a probe of the broker's limit
}

// Connect begins a connection over link. It publishes the retained topics before
// anything else.
func (p *Publisher) Connect(link Link) *Connection {
	c := &Connection{publisher: p, link: link, inFlight: map[uint64]sent{}}
	c.publish(message.TopicAvailability, true, []byte(message.Online), nil)
	p.mu.Lock()
	p.announced = time.Now()
	state, health := p.retained[message.TopicState], p.retained[message.TopicHealth]
	p.changed = map[string]bool{}
	for topic := range p.retained {
		if topic != message.TopicState && topic != message.TopicHealth {
			p.changed[topic] = true // published after availability, state and health
		}
	}
	p.mu.Unlock()
	if state != nil && p.mayPass(message.TopicState, state) {
		c.publish(message.TopicState, true, p.stamper.Restamp(message.ClassState, state), nil)
	}
	if health != nil && p.mayPass(message.TopicHealth, health) {
		c.publish(message.TopicHealth, true, p.stamper.Restamp(message.ClassHealth, health), nil)
	}
	p.setConnected(true)
	return c
}

var errNoAck = fmt.Errorf("broker acknowledged nothing for %s", ackTimeout)

// Step fills the window: live records first, then retained topics and answers, then
// history. After an error, which means that the broker does not acknowledge, the
// connection must end.
func (c *Connection) Step() error {
	current := c.unacknowledged(message.TopicCurrent)
	for len(c.inFlight) < window {
		topic, retained, payload, records := c.publisher.next(current < currentWindow)
		if payload == nil {
			break
		}
		if topic == message.TopicCurrent {
			current++
		}
		c.publish(topic, retained, payload, records)
	}
	// Messages that the broker may refuse wait for its first PUBACK: a connection that
	// ends before it would not show the cause.
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

// publish sends one message; records are kept until the message is acknowledged.
func (c *Connection) publish(topic string, retained bool, payload []byte, records []*record) (key uint64) {
	id := c.link.Publish(c.whole(topic), retained, payload)
	c.publisher.mu.Lock()
	c.publisher.published++
	c.publisher.mu.Unlock()
	c.order++
	key = notSent + c.order // a message that was not accepted waits for the connection's end
	if id != 0 {
		key = uint64(id)
	}
	c.inFlight[key] = sent{order: c.order, topic: topic, records: records, size: c.publisher.size(topic, payload), at: time.Now()}
	return key
}

// whole is a topic with the root. That of current is kept, because it is published most
// often.
func (c *Connection) whole(topic string) string {
	if topic != message.TopicCurrent {
		return c.publisher.root + topic
	}
	if c.current == "" {
		c.current = c.publisher.root + topic
	}
	return c.current
}

// notSent is larger than every message id.
const notSent = 1 << 16

// Acknowledge removes the messages with these ids, whose PUBACKs have arrived.
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

// Unacknowledged is the number of messages without a PUBACK.
func (c *Connection) Unacknowledged() int { return len(c.inFlight) }

// unacknowledged is the number of messages of a topic without a PUBACK.
func (c *Connection) unacknowledged(topic string) (n int) {
	for _, m := range c.inFlight {
		if m.topic == topic {
			n++
		}
	}
	return n
}

// Leave publishes offline and marks the connection's end as planned.
func (c *Connection) Leave() {
	c.left = true
	c.publish(message.TopicAvailability, true, []byte(message.Offline), nil)
}

// End returns the unacknowledged records to their queues.
func (c *Connection) End() {
	if !c.left {
		c.cutOff()
	}
	c.publisher.setConnected(false)
	c.publisher.requeue(c.inFlight)
}

// mayPass reports whether a message is within the broker's limit.
func (p *Publisher) mayPass(topic string, payload []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.limit.admits(p.size(topic, payload))
}
