package delivery

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"meltwatch/agent/message"
	"meltwatch/agent/stamp"
	"meltwatch/config"
)

// quiet is an observer that ignores everything.
type quiet struct{}

func (quiet) Beat()                   {}
func (quiet) OK()                     {}
func (quiet) Fault(error)             {}
func (quiet) Count(map[string]uint64) {}

const root = "meltwatch/plant-1/f07/"

type agent struct {
	*Publisher
	t       *testing.T
	stamper *stamp.Stamper
	stop    func()
}

func startAgent(t *testing.T, url string, bound int) *agent {
	t.Helper()
	return startWith(t, url, NewMemory(bound))
}

func startSettings(url string, queue int) config.MQTT {
	return config.MQTT{Broker: url, ClientID: "test", KeepAlive: time.Second, Queue: queue, HistoryRate: 200, Retain: true}
}

func startWith(t *testing.T, url string, outbox Outbox) *agent {
	t.Helper()
	return startBy(t, startSettings(url, 10_000), outbox, quiet{})
}

func startBy(t *testing.T, settings config.MQTT, outbox Outbox, observer Observer) *agent {
	t.Helper()
	stamper, err := stamp.OnHost(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	p := New(settings, root, stamper, outbox, slog.New(slog.DiscardHandler), observer)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	a := &agent{Publisher: p, t: t, stamper: stamper}
	stopped := false
	a.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	}
	t.Cleanup(a.stop)
	return a
}

func (a *agent) second(state string) {
	now := time.Now()
	a.State(message.State{Stamp: a.stamper.Stamp("state", now), State: state, Since: now}, true)
	a.Sample(message.Sample{Stamp: a.stamper.Stamp("current", now), A: 15_000, B: 15_000, C: 15_000})
	a.Event(message.Event{Stamp: a.stamper.Stamp("event", now), Kind: "test"})
}

func TestEverythingArrivesOnItsTopic(t *testing.T) {
	b := newBroker(t)
	a := startAgent(t, b.url(), 1000)
	eventually(t, 10*time.Second, "availability online", func() bool { return b.retained(root+message.TopicAvailability) == "online" })
	a.second("normal")
	a.Health(message.Health{Agent: "test"})
	for _, topic := range []string{message.TopicState, message.TopicCurrent, message.TopicEvent, message.TopicHealth} {
		eventually(t, 10*time.Second, topic, func() bool { return len(b.on(root+topic)) > 0 })
	}
	if !strings.Contains(b.retained(root+message.TopicState), `"state":"normal"`) || b.retained(root+message.TopicCurrent) != "" {
		t.Error("state must be retained, current must not")
	}
	a.stop()
	eventually(t, 5*time.Second, "availability offline", func() bool { return b.retained(root+message.TopicAvailability) == "offline" })
}

func outage(t *testing.T, length time.Duration) {
	everyOutbox(t, func(t *testing.T, o Outbox) { outageWith(t, o, length) })
}

func outageWith(t *testing.T, o Outbox, length time.Duration) {
	t.Parallel()
	b := newBroker(t)
	a := startWith(t, b.url(), o)
	eventually(t, 10*time.Second, "first state", func() bool { a.second("normal"); return len(b.on(root+message.TopicState)) > 0 })
	b.down()
	end := time.Now().Add(length)
	for time.Now().Before(end) {
		a.second("normal")
		time.Sleep(100 * time.Millisecond)
	}
	a.second("abnormal")
	b.up()
	back := time.Now()
	eventually(t, 30*time.Second, "availability and state after the outage", func() bool {
		return b.retained(root+message.TopicAvailability) == "online" && strings.Contains(b.retained(root+message.TopicState), `"abnormal"`)
	})
	healed := time.Since(back)
	t.Logf("availability and state right again after %s", healed.Round(10*time.Millisecond))
	if healed > 10*time.Second {
		t.Errorf("healed after %s, want 10 s", healed)
	}
	last := a.stamper.Stamp("event", time.Now()).Seq - 1
	eventually(t, 30*time.Second, "history", func() bool {
		return len(seen(t, b, "event")) == int(last)
	})
	inOrder(t, sequence(t, b.on(root+"history/event")))
	inOrder(t, sequence(t, b.on(root+"history/current")))
	for _, m := range b.on(root + "history/event") {
		if !strings.Contains(m.payload, `"historical":true`) {
			t.Fatalf("history without its mark: %s", m.payload)
		}
	}
}

// seen returns the seqs of one class, live and history together.
func seen(t *testing.T, b *broker, class string) map[uint64]bool {
	set := map[uint64]bool{}
	for _, topic := range []string{class, message.TopicHistory + class} {
		for _, seq := range sequence(t, b.on(root+topic)) {
			set[seq] = true
		}
	}
	return set
}

func inOrder(t *testing.T, seqs []uint64) {
	t.Helper()
	for i := 1; i < len(seqs); i++ {
		if seqs[i] <= seqs[i-1] {
			t.Fatalf("record %d came after %d", seqs[i], seqs[i-1])
		}
	}
}

func TestOutageOfFiveSecondsLosesNoEvent(t *testing.T) {
	t.Parallel()
	outage(t, 5*time.Second)
}

func TestOutageOfSixtySecondsLosesNoEvent(t *testing.T) {
	if testing.Short() {
		t.Skip("a minute of real time: left out by -short")
	}
	t.Parallel()
	outage(t, 60*time.Second)
}

func TestBrokerAwayAtTheStart(t *testing.T) {
	b := newBroker(t)
	b.down()
	a := startAgent(t, b.url(), 1000)
	a.second("abnormal")
	time.Sleep(time.Second)
	b.up()
	eventually(t, 15*time.Second, "state", func() bool { return strings.Contains(b.retained(root+message.TopicState), "abnormal") })
	eventually(t, 15*time.Second, "event", func() bool { return len(b.on(root+"history/event")) == 1 })
}

func TestConnectionWithoutAcknowledgementsEnds(t *testing.T) {
	t.Parallel()
	url, connections := deafBroker(t)
	a := startAgent(t, url, 1000)
	eventually(t, 40*time.Second, "a second connection", func() bool {
		a.second("normal")
		time.Sleep(50 * time.Millisecond)
		return connections() > 1
	})
	if acked := a.Counters()["acked"]; acked != 0 {
		t.Fatalf("%d records count as acknowledged by a broker that acknowledged none", acked)
	}
}

func TestFullMemoryDropsTheLowestPriorityFirst(t *testing.T) {
	m := NewMemory(10)
	for range 8 {
		m.Append("event", []byte("{}"))
		m.Append("current", []byte("{}"))
	}
	m.Append("state", []byte("{}"))
	counters := m.Counters()
	if counters["waiting_event"] != 8 || counters["waiting_state"] != 1 || counters["waiting_current"] != 1 || counters["dropped_current"] != 7 {
		t.Fatalf("counters %v", counters)
	}
}
