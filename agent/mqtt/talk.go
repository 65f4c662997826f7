package mqtt

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// talk is what a publisher hears and says beside its records: subscriptions,
// retained topics of which the newest payload counts, and answers, which are not
// kept for longer than the connection lasts.
type talk struct {
	mu      sync.Mutex
	hears   map[string]func(topic string, payload []byte)
	answers []answer // bounded by maxAnswers
}

type answer struct {
	topic   string
	payload []byte
}

// maxAnswers bounds what waits to be said; beyond it the oldest is dropped.
const maxAnswers = 64

// Hear has handle called with each message on a topic below the furnace's own,
// which may end in wildcards. It must not block, nor publish. To be called
// before Run.
func (p *Publisher) Hear(topic string, handle func(topic string, payload []byte)) {
	p.talk.mu.Lock()
	defer p.talk.mu.Unlock()
	if p.talk.hears == nil {
		p.talk.hears = map[string]func(string, []byte){}
	}
	p.talk.hears[topic] = handle
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
	p.talk.mu.Lock()
	p.talk.answers = append(p.talk.answers, answer{topic, payload})
	if len(p.talk.answers) > maxAnswers {
		p.talk.answers = p.talk.answers[1:]
	}
	p.talk.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wake()
}

// nextAnswer takes the oldest answer.
func (p *Publisher) nextAnswer() (answer, bool) {
	p.talk.mu.Lock()
	defer p.talk.mu.Unlock()
	if len(p.talk.answers) == 0 {
		return answer{}, false
	}
	first := p.talk.answers[0]
	p.talk.answers = p.talk.answers[1:]
	return first, true
}

// nextChanged takes a retained topic whose payload is news. The lock is held.
func (p *Publisher) nextChanged() (topic string, payload []byte) {
	for topic := range p.changed {
		delete(p.changed, topic)
		return topic, p.retained[topic]
	}
	return "", nil
}

// subscribe asks for everything that is to be heard, at each connection. What
// the broker refuses is logged and leaves the connection alone: to publish
// matters more.
func (s *session) subscribe(ctx context.Context) {
	p := s.publisher
	p.talk.mu.Lock()
	hears := maps.Clone(p.talk.hears)
	p.talk.mu.Unlock()
	for topic, handle := range hears {
		filter := p.root + topic
		token := s.client.Subscribe(filter, 1, func(_ paho.Client, m paho.Message) {
			handle(m.Topic()[len(p.root):], m.Payload())
		})
		go awaitSubscription(ctx, token, filter, p.log)
	}
}

// awaitSubscription logs a subscription that the broker refuses or leaves
// unanswered.
func awaitSubscription(ctx context.Context, token paho.Token, filter string, log *slog.Logger) {
	const refused = 0x80
	timer := time.NewTimer(ackTimeout)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return
	case <-timer.C:
		log.Warn("subscription not answered", "topic", filter, "after", ackTimeout)
		return
	case <-token.Done():
	}
	err := token.Error()
	if t, ok := token.(*paho.SubscribeToken); ok && err == nil && t.Result()[filter] == refused {
		err = errors.New("refused: let this user read it in the broker's access list")
	}
	if err != nil {
		log.Warn("not subscribed", "topic", filter, "err", err)
	}
}
