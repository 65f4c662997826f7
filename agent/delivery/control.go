package delivery

import (
	"maps"
	"sync"

	"meltwatch/agent/mqtt"
)

// control is what a publisher hears and says beside its records: subscriptions,
// retained topics of which the newest payload counts, and answers, which are not
// kept for longer than the connection lasts.
type control struct {
	mu      sync.Mutex
	hears   map[string]mqtt.Handler
	answers []answer // bounded by maxAnswers
	dropped uint64   // answers
}

type answer struct {
	topic   string
	payload []byte
}

// maxAnswers bounds what waits to be said; beyond it the oldest is dropped.
const maxAnswers = 64

// Subscribe has handle called with each message on a topic below the furnace's own,
// which may end in wildcards. To be called before Run.
func (p *Publisher) Subscribe(topic string, handle func(topic string, payload []byte)) {
	p.SubscribeRetained(topic, func(topic string, payload []byte, _ bool) { handle(topic, payload) })
}

// SubscribeRetained is Hear with a handler that tells what the broker repeats.
func (p *Publisher) SubscribeRetained(topic string, handle mqtt.Handler) {
	p.control.mu.Lock()
	defer p.control.mu.Unlock()
	if p.control.hears == nil {
		p.control.hears = map[string]mqtt.Handler{}
	}
	p.control.hears[topic] = handle
}

func (p *Publisher) handlers() map[string]mqtt.Handler {
	p.control.mu.Lock()
	defer p.control.mu.Unlock()
	return maps.Clone(p.control.hears)
}

// Retain publishes a retained topic; only the newest payload counts, and it is
// said again at each connection.
func (p *Publisher) Retain(topic string, payload []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.retained[topic] = payload
	p.changed[topic] = true
	p.wake()
}

// Answer publishes a payload once; it waits for a connection, at most so long
// as fewer than 64 others come after it.
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

// droppedAnswers counts those that gave way to newer ones before they were said.
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
