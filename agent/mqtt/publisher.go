// Package mqtt publishes what the agent knows and owns every topic and payload.
//
// While a broker is connected, records go out as they are made, on their live
// topics. What was made in an outage, or sent and never acknowledged, waits in
// the outbox and goes out afterwards on history/… topics with "historical":
// true, live records first. A record counts as delivered when its PUBACK arrives
// on the connection that sent it and not before; within a class and a stream
// first deliveries are in (boot, seq) order, and a repeated one has the same
// (boot, seq).
//
// One paho client serves one connection and is then thrown away: paho's own
// reconnection and session resumption are off, because their acknowledgements
// cannot be told from those of an earlier connection.
//
// Lost when the agent dies: what waits in a Memory outbox. Dropped and counted:
// the oldest records of the least worthy class when the outbox is full.
package mqtt

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"meltwatch/config"
)

// Observer is told how the connection fares.
type Observer interface {
	Beat()
	OK()
	Fault(error)
	Count(map[string]uint64)
}

// Publisher is the agent's end of the broker.
type Publisher struct {
	settings config.MQTT
	root     string
	log      *slog.Logger
	observer Observer

	mu        sync.Mutex
	connected bool
	live      []Record // made while connected, oldest first; bounded by maxLive
	outbox    Outbox
	retained  map[string][]byte // the newest payload of each retained topic
	changed   map[string]bool   // retained topics published outside the classes
	published uint64
	acked     uint64
	redials   uint64

	lastState time.Time // when a state was last kept for history
	news      chan struct{}
}

const (
	// maxLive bounds what waits for a connected but slow broker; beyond it
	// records become history.
	maxLive = 256
	// historyEvery is how often an unchanged state is kept through an outage.
	historyEvery = 10 * time.Second
)

// New returns a publisher for the furnace whose topics start with root.
func New(settings config.MQTT, root string, outbox Outbox, log *slog.Logger, observer Observer) *Publisher {
	return &Publisher{
		settings: settings, root: root, log: log, observer: observer, outbox: outbox,
		retained: map[string][]byte{}, changed: map[string]bool{},
		news: make(chan struct{}, 1),
	}
}

// State publishes a state. changed says that it is not a repetition.
func (p *Publisher) State(s State, changed bool) {
	payload := p.encode(s)
	p.mu.Lock()
	defer p.mu.Unlock()
	keep := changed || time.Since(p.lastState) >= historyEvery
	if keep {
		p.lastState = time.Now()
	}
	p.retained[TopicState] = payload
	p.add(Record{Class: ClassState, Payload: payload, Keep: keep})
}

// Sample publishes one reading of the current.
func (p *Publisher) Sample(s Sample) { p.record(ClassCurrent, s) }

// Event publishes an event.
func (p *Publisher) Event(e Event) { p.record(ClassEvent, e) }

func (p *Publisher) record(class Class, value any) {
	payload := p.encode(value)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.add(Record{Class: class, Payload: payload, Keep: true})
}

// Health publishes how the parts fare; only the newest one counts.
func (p *Publisher) Health(h Health) {
	payload := p.encode(h)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.retained[TopicHealth] = payload
	p.changed[TopicHealth] = true
	p.wake()
}

// encode cannot fail for the payload types: they hold no channel, function or
// cycle, and the agent puts no NaN in them. Should it fail all the same, the
// fault is logged and an empty object takes the record's place.
func (p *Publisher) encode(value any) []byte {
	payload, err := json.Marshal(value)
	if err != nil {
		p.log.Error("payload not encoded", "type", fmt.Sprintf("%T", value), "err", err)
		return []byte("{}")
	}
	return payload
}

// add is called with the lock held.
func (p *Publisher) add(r Record) {
	switch {
	case p.connected && len(p.live) < maxLive:
		p.live = append(p.live, r)
		p.wake()
	case r.Keep:
		p.outbox.Append(r)
	}
}

func (p *Publisher) wake() {
	select {
	case p.news <- struct{}{}:
	default:
	}
}

// Run keeps a connection to the broker until ctx ends, then says goodbye.
func (p *Publisher) Run(ctx context.Context) error {
	return p.redial(ctx)
}

// Counters of the publisher and its outbox.
func (p *Publisher) Counters() map[string]uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	counters := p.outbox.Counters()
	counters["published"], counters["acked"], counters["redials"] = p.published, p.acked, p.redials
	return counters
}
