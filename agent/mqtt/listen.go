package mqtt

import (
	"context"
	"crypto/sha256"
	"errors"
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
	// RenewEvery is how often subscriptions are made again.
	RenewEvery = 30 * time.Second
	// clearedAfter is how long after a subscription's answer a retained message may
	// come.
	clearedAfter = 10 * time.Second
)

// received is what one session has heard.
type received struct {
	mu    sync.Mutex
	round uint64 // of subscriptions
	// sums is the hash of each topic's newest payload, seen the round in which the
	// broker last handed over what it retains for it.
	sums map[string][sha256.Size]byte
	seen map[string]uint64
	told map[string]bool // subscriptions whose failure was logged
}

func newReceived() *received {
	return &received{sums: map[string][sha256.Size]byte{}, seen: map[string]uint64{}, told: map[string]bool{}}
}

// isNew notes a message and reports whether it is one: the broker's repetition of
// what this session has heard is not.
func (e *received) isNew(topic string, payload []byte, retained bool) bool {
	sum := sha256.Sum256(payload)
	e.mu.Lock()
	defer e.mu.Unlock()
	before, known := e.sums[topic]
	e.sums[topic] = sum
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
func (e *received) cleared(topic string, round uint64) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	seen, known := e.seen[topic]
	if !known || seen >= round {
		return false
	}
	delete(e.seen, topic)
	e.sums[topic] = sha256.Sum256(nil)
	return true
}

// failed reports whether a subscription's failure is news.
func (e *received) failed(filter string, err error) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	before := e.told[filter]
	e.told[filter] = err != nil
	return err != nil && !before
}

// Listen subscribes to every handler's topic, which may hold wildcards, and is to be
// called at each connection and again every RenewEvery. It does not wait. What the
// broker refuses is logged and leaves the connection alone: to publish matters more.
func (s *Session) Listen(ctx context.Context, handlers map[string]Handler) {
	s.received.mu.Lock()
	s.received.round++
	round := s.received.round
	s.received.mu.Unlock()
	for topic, handle := range handlers {
		token := s.client.Subscribe(s.options.Root+topic, 1, s.receiver(topic, handle))
		go s.awaitSubscription(ctx, token, topic, round, handle)
	}
}

// receiver hands what is new to a handler. Of a filter with wildcards nothing is
// noted: anyone who may publish there could fill the memory with names.
func (s *Session) receiver(filter string, handle Handler) paho.MessageHandler {
	wild := strings.ContainsAny(filter, "+#")
	return func(_ paho.Client, m paho.Message) {
		topic := m.Topic()[len(s.options.Root):]
		if wild || s.received.isNew(topic, m.Payload(), m.Retained()) {
			handle(topic, m.Payload(), m.Retained())
		}
	}
}

// awaitSubscription waits for a subscription's answer, and then for what the broker
// retains.
func (s *Session) awaitSubscription(ctx context.Context, token paho.Token, topic string, round uint64, handle Handler) {
	err := answered(ctx, token, s.options.Root+topic)
	if ctx.Err() != nil {
		return
	}
	if s.received.failed(topic, err) {
		s.options.Log.Warn("not subscribed", "topic", s.options.Root+topic, "err", err)
	}
	if err != nil {
		return
	}
	timer := time.NewTimer(s.options.ClearedAfter)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
		if s.received.cleared(topic, round) {
			handle(topic, nil, true)
		}
	}
}

// Subscribe subscribes to one topic and waits for the answer. The error is ErrDenied
// where the broker's access list does not allow it.
func (s *Session) Subscribe(ctx context.Context, topic string, handle Handler) error {
	filter := s.options.Root + topic
	token := s.client.Subscribe(filter, 1, func(_ paho.Client, m paho.Message) { handle(topic, m.Payload(), m.Retained()) })
	return answered(ctx, token, filter)
}

var (
	errUnanswered = errors.New("no answer within " + answerTimeout.String())
	// ErrDenied is a subscription that the broker's access list does not allow.
	ErrDenied = errors.New("refused: let this user read it in the broker's access list")
)

func answered(ctx context.Context, token paho.Token, filter string) error {
	const refused = 0x80
	timer := time.NewTimer(answerTimeout)
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
		err = ErrDenied
	}
	return err
}
