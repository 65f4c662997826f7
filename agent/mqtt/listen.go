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

// A broker or a proxy may lose a subscription silently. The broker of our tests does if
// a connection ends while the next one of the same client id begins. Each subscription
// is therefore renewed at intervals, which makes the broker repeat its retained
// messages. Missed messages are then handled, known ones are ignored, and a topic that
// was cleared is handled as an empty payload.
const (
	// RenewEvery is the interval at which subscriptions are renewed.
	RenewEvery = 30 * time.Second
	// clearedAfter is how long after the broker's SUBACK a retained message may arrive.
	clearedAfter = 10 * time.Second
)

// received tracks the messages that one session has received.
type received struct {
	mu    sync.Mutex
	round uint64 // of subscriptions
	// sums is the hash of each topic's newest payload; seen is the round in which the
	// broker last sent the topic's retained message.
	sums    map[string][sha256.Size]byte
	seen    map[string]uint64
	failing map[string]bool // filters whose failure was logged
}

func newReceived() *received {
	return &received{sums: map[string][sha256.Size]byte{}, seen: map[string]uint64{}, failing: map[string]bool{}}
}

// isNew records a message and reports whether it is new: a retained message that this
// session has received before is not.
func (r *received) isNew(topic string, payload []byte, retained bool) bool {
	sum := sha256.Sum256(payload)
	r.mu.Lock()
	defer r.mu.Unlock()
	before, known := r.sums[topic]
	r.sums[topic] = sum
	switch {
	case retained:
		r.seen[topic] = r.round
	case len(payload) == 0:
		delete(r.seen, topic)
	}
	return !retained || !known || before != sum
}

// cleared reports whether the broker, which had retained a message for a topic, sent
// none in this round and the one before. One round does not prove it: a busy cluster omits a
// retained message that it does not find in time.
func (r *received) cleared(topic string, round uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen, known := r.seen[topic]
	if !known || seen+1 >= round {
		return false
	}
	delete(r.seen, topic)
	r.sums[topic] = sha256.Sum256(nil)
	return true
}

// failed records the result of a subscription, and reports whether it failed for the
// first time. The broker sends no retained message then, so the round does not count.
func (r *received) failed(filter string, err error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.failing[filter]
	r.failing[filter] = err != nil
	if seen, known := r.seen[filter]; known && err != nil {
		r.seen[filter] = min(seen+1, r.round)
	}
	return err != nil && !before
}

// Listen subscribes to every handler's topic, which may hold wildcards. Call it at each
// connection and again every RenewEvery. It does not wait. A refused subscription is
// logged and does not end the connection, because publishing matters more.
func (s *Session) Listen(ctx context.Context, handlers map[string]Handler) {
	s.received.mu.Lock()
	s.received.round++
	round := s.received.round
	s.received.mu.Unlock()
	filters := map[string]byte{}
	for topic, handle := range handlers {
		filter := s.options.Root + topic
		s.client.AddRoute(filter, s.receiver(topic, handle))
		filters[filter] = subscribed
	}
	token := s.client.SubscribeMultiple(filters, nil)
	for topic, handle := range handlers {
		go s.awaitSubscription(ctx, token, topic, round, handle)
	}
}

// subscribed is the quality of service of every subscription. With QoS 1 a cluster may keep a
// queue for each one, with a copy on several nodes (NATS does). To create and remove these queues
// at each connection loads the cluster, and a busy one does not remove all of them. What QoS 0
// may lose between two nodes is sent again: documents are retained and sent with each renewal,
// the agent requests a missing chunk again, the sender repeats a command without an answer,
// and health and availability are the agent's own messages.
const subscribed byte = 0

// receiver passes new messages to a handler. Messages of a filter with wildcards are
// not recorded: any client that may publish there could fill the memory with topics.
func (s *Session) receiver(filter string, handle Handler) paho.MessageHandler {
	wild := strings.ContainsAny(filter, "+#")
	return func(_ paho.Client, m paho.Message) {
		topic := m.Topic()[len(s.options.Root):]
		if wild || s.received.isNew(topic, m.Payload(), m.Retained()) {
			handle(topic, m.Payload(), m.Retained())
		}
	}
}

// awaitSubscription waits for the SUBACK, and then for the broker's retained message.
func (s *Session) awaitSubscription(ctx context.Context, token paho.Token, topic string, round uint64, handle Handler) {
	err := answered(ctx, token, s.options.Root+topic)
	if ctx.Err() != nil {
		return
	}
	if s.received.failed(topic, err) {
		s.options.Log.Warn("subscription failed", "topic", s.options.Root+topic, "err", err)
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

// Subscribe subscribes to one topic and waits for the SUBACK. The error is ErrDenied if
// the broker's access list does not allow it.
func (s *Session) Subscribe(ctx context.Context, topic string, handle Handler) error {
	filter := s.options.Root + topic
	token := s.client.Subscribe(filter, subscribed, func(_ paho.Client, m paho.Message) { handle(topic, m.Payload(), m.Retained()) })
	return answered(ctx, token, filter)
}

var (
	errUnanswered = errors.New("no answer within " + answerTimeout.String())
	// ErrDenied is the error of a subscription that the broker's access list does not
	// allow.
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
