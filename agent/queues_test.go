package agent

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"meltwatch/agent/message"
	"meltwatch/drivers"
	"meltwatch/simulator/broker"
)

// queueDocument returns the configuration of an agent whose meter, camera and model do
// not answer, so that only the test fills its queues.
func queueDocument(t *testing.T, broker string) string {
	t.Helper()
	return fmt.Sprintf(`{site: test, furnace: f1,
meters: {plc: {url: "tcp://127.0.0.1:%d", fields: {
  current_a: {address: 0}, current_b: {address: 2}, current_c: {address: 4}, set_point: {address: 6}}}},
camera: {enabled: false},
model: {path: ../inference/models/product},
mqtt: {broker: %q},
commands: {self_test: true, per_minute: 1},
paths: {state: %q, programs: %q}}`, freePort(t), broker, t.TempDir(), t.TempDir())
}

// docs/architecture.md promises that health counts the drops of each queue. Each queue
// is overfilled before it is emptied, and health must report the number of drops.
func TestHealthCountsTheDropsOfEachQueue(t *testing.T) {
	t.Parallel()
	server, url, err := broker.Local()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	health := make(chan []byte, 64)
	if err := server.Subscribe("meltwatch/test/f1/health", 1, func(_ *mochi.Client, _ packets.Subscription, m packets.Packet) {
		health <- m.Payload
	}); err != nil {
		t.Fatal(err)
	}
	file, text := filepath.Join(t.TempDir(), "meltwatch.yaml"), queueDocument(t, url)
	writeFile(t, file, text, 0o600)
	a, err := New(Source{Path: file, Document: []byte(text)}, hostEnv(t, slog.NewTextHandler(testLog{t}, nil)))
	if err != nil {
		t.Fatal(err)
	}
	hear := func(filter, topic string) func() {
		return func() { a.out.Deliver(filter, topic, []byte("{}"), false) }
	}
	queues := []struct {
		part, counter string
		offer         func()
		times         int
		least, most   uint64
	}{
		{"decide", "dropped_samples", func() { a.loop.Offer(drivers.Sample{Time: time.Now()}) }, 128 + 7, 7, 7},
		// Of the 16 in the queue one is executed; the others exceed per_minute.
		{"commands", "dropped_commands", hear(message.TopicCommand, "command"), 16 + 7, 15 + 7, 15 + 7},
		{"remote", "dropped_documents", hear(message.TopicConfigDesired, "config/desired"), 16 + 7, 7, 7},
		{"models", "dropped_documents", hear(message.TopicModelDesired, "model/desired"), 16 + 7, 7, 7},
		{"models", "dropped_chunks", hear(message.TopicModelChunk, "model/chunk/0"), 8 + 7, 7, 7},
		// The two results of the commands may be published before the connection.
		{"mqtt", "dropped_answers", func() { a.out.Answer(message.TopicCommandResult, []byte("{}")) }, 64 + 7, 7, 9},
	}
	for _, q := range queues {
		for range q.times {
			q.offer()
		}
	}
	runAgent(t, a)
	deadline := time.After(30 * time.Second)
	for {
		var said struct {
			Parts map[string]struct{ Counters map[string]uint64 }
		}
		select {
		case payload := <-health:
			if err := json.Unmarshal(payload, &said); err != nil {
				t.Fatal(err)
			}
		case <-deadline:
			t.Fatal("health did not count every queue within 30 s")
		}
		counted := 0
		for _, q := range queues {
			n, there := said.Parts[q.part].Counters[q.counter]
			if n > q.most {
				t.Fatalf("%s of %s is %d, want %d to %d", q.counter, q.part, n, q.least, q.most)
			}
			if there && n >= q.least {
				counted++
			}
		}
		if counted == len(queues) {
			return
		}
		t.Logf("%d of %d queues counted: %v", counted, len(queues), said.Parts)
	}
}
