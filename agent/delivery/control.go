package delivery

import (
	"maps"
	"sync"

	"meltwatch/agent/mqtt"
)

// control holds what a publisher exchanges besides records: subscriptions, and answers,
// which are not kept for longer than the connection lasts.
type control struct {
	mu       sync.Mutex
	handlers map[string]mqtt.Handler
	answers  []answer // bounded by maxAnswers
	dropped  uint64   // number of answers
}

type answer struct {
	topic   string
	payload []byte
}

// maxAnswers bounds the waiting answers; beyond it the oldest is dropped.
const maxAnswers = 64

// Subscribe makes handle receive each message on a topic below the furnace's root,
// which may end in wildcards. Call it before Run.
func (p *Publisher) Subscribe(topic string, handle func(topic string, payload []byte)) {
	p.SubscribeRetained(topic, func(topic string, payload []byte, _ bool) { handle(topic, payload) })
}

// SubscribeRetained is Subscribe with a handler that also learns whether the broker
// retained the message.
func (p *Publisher) SubscribeRetained(topic string, handle mqtt.Handler) {
	p.control.mu.Lock()
	defer p.control.mu.Unlock()
	if p.control.handlers == nil {
		p.control.handlers = map[string]mqtt.Handler{}
	}
	p.control.handlers[topic] = handle
}

func (p *Publisher) handlers() map[string]mqtt.Handler {
	p.control.mu.Lock()
	defer p.control.mu.Unlock()
	return maps.Clone(p.control.handlers)
}

// Retain publishes a retained topic. Only the newest payload counts; it is published
// again at each connection.
func (p *Publisher) Retain(topic string, payload []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.retained[topic] = payload
	p.changed[topic] = true
	p.wake()
}

// Answer publishes a payload once. It waits for a connection, and is dropped when 64
// newer answers wait.
func (p *Publisher) Answer(topic string, payload []byte) {
	p.control.mu.Lock()
	p.control.answers = append(p.control.answers, answer{topic, payload})
	if len(p.control.answers) > maxAnswers {
		p.control.answers = p.control.answers[1:]
		p.control.dropped++
	}
	p.control.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wake()
}

// droppedAnswers is the number of answers that were dropped for newer ones.
func (p *Publisher) droppedAnswers() uint64 {
	p.control.mu.Lock()
	defer p.control.mu.Unlock()
	return p.control.dropped
}

// nextAnswer takes the oldest answer.
func (p *Publisher) nextAnswer() (answer, bool) {
	p.control.mu.Lock()
	defer p.control.mu.Unlock()
	if len(p.control.answers) == 0 {
		return answer{}, false
	}
	first := p.control.answers[0]
	p.control.answers = p.control.answers[1:]
	return first, true
}

// nextChanged takes the first retained topic, by name, whose payload is new. The lock is
// held.
func (p *Publisher) nextChanged() (topic string, payload []byte) {
	for changed := range p.changed {
		if topic == "" || changed < topic {
			topic = changed
		}
	}
	delete(p.changed, topic)
	return topic, p.retained[topic]
}
