package delivery

import (
	"maps"
	"sync"

	"meltwatch/agent/message"
	"meltwatch/agent/mqtt"
)

// Switch passes records to the active one of several publishers. There are two while
// the connection to another broker is on trial.
type Switch struct {
	mu       sync.Mutex
	active   *Publisher
	handlers map[string]mqtt.Handler
	retained map[string][]byte // without state and health
}

// NewSwitch returns a switch; Activate must come before the first record.
func NewSwitch() *Switch {
	return &Switch{handlers: map[string]mqtt.Handler{}, retained: map[string][]byte{}}
}

// Subscribe makes handle receive each message on a topic below the furnace's root,
// which may hold wildcards, from the next Configure on.
func (s *Switch) Subscribe(topic string, handle func(topic string, payload []byte)) {
	s.SubscribeRetained(topic, func(topic string, payload []byte, _ bool) { handle(topic, payload) })
}

// SubscribeRetained is Subscribe with a handler that also learns whether the broker
// retained the message.
func (s *Switch) SubscribeRetained(topic string, handle mqtt.Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handlers[topic] = handle
}

// Configure sets up the subscriptions and the retained topics of a publisher.
func (s *Switch) Configure(p *Publisher) {
	s.mu.Lock()
	retained, handlers := maps.Clone(s.retained), maps.Clone(s.handlers)
	s.mu.Unlock()
	for topic, handle := range handlers {
		p.SubscribeRetained(topic, handle)
	}
	for topic, payload := range retained {
		p.Retain(topic, payload)
	}
}

// Activate configures a publisher and makes it the active one.
func (s *Switch) Activate(p *Publisher) {
	s.Configure(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active = p
}

// Active returns the publisher that gets the records.
func (s *Switch) Active() *Publisher {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.active
}

// Retain publishes a retained topic, now and on each later publisher.
func (s *Switch) Retain(topic string, payload []byte) {
	s.mu.Lock()
	s.retained[topic] = payload
	active := s.active
	s.mu.Unlock()
	active.Retain(topic, payload)
}

// State publishes a state. changed reports whether it is not a repetition.
func (s *Switch) State(state message.State, changed bool) { s.Active().State(state, changed) }

// Sample publishes one reading of the current.
func (s *Switch) Sample(sample message.Sample) { s.Active().Sample(sample) }

// Event publishes an event.
func (s *Switch) Event(e message.Event) { s.Active().Event(e) }

// Health publishes the health of the parts. Only the newest one counts.
func (s *Switch) Health(h message.Health) { s.Active().Health(h) }

// Answer publishes a payload once.
func (s *Switch) Answer(topic string, payload []byte) { s.Active().Answer(topic, payload) }

// Deliver passes a message to the handler of a subscription, as a connection does. It
// serves a simulation with its own Link.
func (s *Switch) Deliver(subscription, topic string, payload []byte, retained bool) {
	s.mu.Lock()
	handle := s.handlers[subscription]
	s.mu.Unlock()
	if handle != nil {
		handle(topic, payload, retained)
	}
}
