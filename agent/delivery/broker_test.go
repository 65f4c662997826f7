package delivery

import (
	"encoding/json"
	"net"
	"sync"
	"testing"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	"meltwatch/agent/message"
	brokers "meltwatch/simulator/broker"
)

// broker is a real broker in this process that a test can stop and restart on its
// address. Received messages are kept across restarts.
type broker struct {
	t       *testing.T
	address string
	server  *brokers.Server
	// listen creates the listener at each start.
	listen func(address string) listeners.Listener
	hooks  []mochi.Hook

	mu       sync.Mutex
	messages []received
}

type received struct {
	topic    string
	payload  string
	retained bool
	at       time.Time
}

func newBroker(t *testing.T) *broker {
	t.Helper()
	return brokerBehind(t, func(address string) listeners.Listener {
		return listeners.NewTCP(listeners.Config{ID: "test", Address: address})
	}, new(auth.AllowHook))
}

func brokerBehind(t *testing.T, listen func(string) listeners.Listener, hooks ...mochi.Hook) *broker {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &broker{t: t, address: l.Addr().String(), listen: listen, hooks: hooks}
	l.Close()
	b.up()
	t.Cleanup(b.down)
	return b
}

func (b *broker) url() string { return "tcp://" + b.address }

func (b *broker) up() {
	b.t.Helper()
	var err error
	if b.server, err = brokers.Serve(b.listen(b.address), b.hooks...); err != nil {
		b.t.Fatal(err)
	}
	if err := b.server.Subscribe("#", 1, func(_ *mochi.Client, _ packets.Subscription, p packets.Packet) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.messages = append(b.messages, received{p.TopicName, string(p.Payload), p.FixedHeader.Retain, time.Now()})
	}); err != nil {
		b.t.Fatal(err)
	}
}

func (b *broker) down() {
	if b.server != nil {
		_ = b.server.Close() // the listener may be closed already
	}
	b.server = nil
}

// on returns the messages on a topic so far.
func (b *broker) on(topic string) []received {
	b.mu.Lock()
	defer b.mu.Unlock()
	var found []received
	for _, m := range b.messages {
		if m.topic == topic {
			found = append(found, m)
		}
	}
	return found
}

// retained returns the retained message of a topic, as a new subscriber gets it.
func (b *broker) retained(topic string) string {
	for _, p := range b.server.Topics.Messages(topic) {
		return string(p.Payload)
	}
	return ""
}

func eventually(t *testing.T, within time.Duration, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(within)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", within, what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// sequence returns the seq of every record in messages, samples unpacked.
func sequence(t *testing.T, messages []received) []uint64 {
	t.Helper()
	var seqs []uint64
	for _, m := range messages {
		var one struct {
			message.Stamp
			Samples []message.Stamp `json:"samples"`
		}
		if err := json.Unmarshal([]byte(m.payload), &one); err != nil {
			t.Fatalf("topic %s: %v in %s", m.topic, err, m.payload)
		}
		if one.Seq > 0 {
			seqs = append(seqs, one.Seq)
		}
		for _, s := range one.Samples {
			seqs = append(seqs, s.Seq)
		}
	}
	return seqs
}
