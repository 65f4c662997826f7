package delivery

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"meltwatch/agent/message"
)

// At each connection the agent receives the retained message and publishes its retained
// topics again. An answer is published once.
func TestControlTopicsOverReconnections(t *testing.T) {
	b := newBroker(t)
	p := New(startSettings(b.url(), 100), root, nil, NewMemory(100), slog.New(slog.DiscardHandler), quiet{})
	var mu sync.Mutex
	var heard []string
	p.Subscribe("config/desired", func(topic string, payload []byte) {
		mu.Lock()
		defer mu.Unlock()
		heard = append(heard, topic+" "+string(payload))
	})
	hasHeard := func(message string) func() bool {
		return func() bool {
			mu.Lock()
			defer mu.Unlock()
			return slices.Contains(heard, message)
		}
	}
	p.Retain("config/reported", []byte("one"))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	for life := range 2 {
		desired := fmt.Sprint("revision ", life)
		eventually(t, 10*time.Second, "connected", func() bool { return b.retained(root+message.TopicAvailability) == "online" })
		if err := b.server.Publish(root+"config/desired", []byte(desired), true, 1); err != nil {
			t.Fatal(err)
		}
		eventually(t, 10*time.Second, "heard", hasHeard("config/desired "+desired))
		eventually(t, 10*time.Second, "retained", func() bool { return b.retained(root+"config/reported") == "one" })
		p.Answer("command/result", []byte(desired))
		eventually(t, 10*time.Second, "answered", func() bool { return len(b.on(root+"command/result")) == life+1 })
		b.down()
		b.up()
	}
	if got := b.retained(root + "command/result"); got != "" {
		t.Errorf("an answer is retained: %s", got)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestWaitingAnswersAreBounded(t *testing.T) {
	p := New(startSettings("tcp://127.0.0.1:1", 100), root, nil, NewMemory(100), slog.New(slog.DiscardHandler), quiet{})
	for i := range 10 * maxAnswers {
		p.Answer("command/result", fmt.Append(nil, i))
	}
	if a, ok := p.nextAnswer(); !ok || string(a.payload) != fmt.Sprint(9*maxAnswers) || len(p.control.answers) != maxAnswers-1 {
		t.Errorf("oldest answer %s of %d", a.payload, len(p.control.answers)+1)
	}
	if n := p.Counters()["dropped_answers"]; n != 9*maxAnswers {
		t.Errorf("%d answers counted as dropped, want %d", n, 9*maxAnswers)
	}
}
