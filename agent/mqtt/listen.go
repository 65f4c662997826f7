package mqtt

import (
	"context"
	"crypto/sha256"
	"errors"
	"maps"
	"strings"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// A broker, or a proxy before it, may lose a subscription without a word: the
// library of our tests' broker does where a connection ends at the very moment at
// which the next one of the same client id begins. So each subscription is made
// again now and then, which has the broker repeat what is retained: what was missed
// is heard then, what was heard is passed over, and a topic that was cleared is
// heard as an empty payload.
const (
	// renewEvery is how often subscriptions are made again.
	renewEvery = 30 * time.Second
	// clearedAfter is how long after a subscription's answer a retained message may
	// come.
	clearedAfter = 10 * time.Second
)

// ears is what one session has heard.
type ears struct {
	mu    sync.Mutex
	round uint64 // of subscriptions
	// heard is the hash of each topic's newest payload, seen the round in which the
	// broker last handed over what it retains for it.
	heard map[string][sha256.Size]byte
	seen  map[string]uint64
	told  map[string]bool // subscriptions whose failure was logged
}

func newEars() *ears {
	return &ears{heard: map[string][sha256.Size]byte{}, seen: map[string]uint64{}, told: map[string]bool{}}
}

// news notes a message and reports whether it is one: the broker's repetition of
// what this session has heard is not.
func (e *ears) news(topic string, payload []byte, retained bool) bool {
	sum := sha256.Sum256(payload)
	e.mu.Lock()
	defer e.mu.Unlock()
	before, known := e.heard[topic]
	e.heard[topic] = sum
	switch {
	case retained:
		e.seen[topic] = e.round
	case len(payload) == 0:
		delete(e.seen, topic)
	}
	return !retained || !known || before != sum
}

// cleared reports whether the broker, which retained something for a topic, did not
// hand it over in this round.
func (e *ears) cleared(topic string, round uint64) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	seen, known := e.seen[topic]
	if !known || seen >= round {
		return false
	}
	delete(e.seen, topic)
	e.heard[topic] = sha256.Sum256(nil)
	return true
}

// failed reports whether a subscription's failure is news.
func (e *ears) failed(filter string, err error) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	before := e.told[filter]
	e.told[filter] = err != nil
	return err != nil && !before
}

// subscribe asks for everything that is to be heard, at each connection and now and
// then. What the broker refuses is logged and leaves the connection alone: to
// publish matters more.
func (s *session) subscribe(ctx context.Context) {
	p := s.publisher
	p.talk.mu.Lock()
	hears := maps.Clone(p.talk.hears)
	p.talk.mu.Unlock()
	s.ears.mu.Lock()
	s.ears.round++
	round := s.ears.round
	s.ears.mu.Unlock()
	for topic, handle := range hears {
		token := s.client.Subscribe(p.root+topic, 1, s.hearer(topic, handle))
		go s.awaitSubscription(ctx, token, topic, round, handle)
	}
}

// hearer hands what is news to a handler. Of a filter with wildcards nothing is
// noted: anyone who may publish there could fill the memory with names.
func (s *session) hearer(filter string, handle Handler) paho.MessageHandler {
	wild := strings.ContainsAny(filter, "+#")
	return func(_ paho.Client, m paho.Message) {
		topic := m.Topic()[len(s.publisher.root):]
		if wild || s.ears.news(topic, m.Payload(), m.Retained()) {
			handle(topic, m.Payload(), m.Retained())
		}
	}
}

// awaitSubscription waits for a subscription's answer, and then for what the broker
// retains.
func (s *session) awaitSubscription(ctx context.Context, token paho.Token, topic string, round uint64, handle Handler) {
	err := answered(ctx, token, s.publisher.root+topic)
	if ctx.Err() != nil {
		return
	}
	if s.ears.failed(topic, err) {
		s.publisher.log.Warn("not subscribed", "topic", s.publisher.root+topic, "err", err)
	}
	if err != nil {
		return
	}
	timer := time.NewTimer(s.publisher.clearedAfter)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
		if s.ears.cleared(topic, round) {
			handle(topic, nil, true)
		}
	}
}

var errUnanswered = errors.New("no answer within " + ackTimeout.String())

func answered(ctx context.Context, token paho.Token, filter string) error {
	const refused = 0x80
	timer := time.NewTimer(ackTimeout)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return errUnanswered
	case <-token.Done():
	}
	err := token.Error()
	if t, ok := token.(*paho.SubscribeToken); ok && err == nil && t.Result()[filter] == refused {
		err = errors.New("refused: let this user read it in the broker's access list")
	}
	return err
}
