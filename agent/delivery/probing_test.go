package delivery

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"meltwatch/agent/message"
	"meltwatch/agent/stamp"
)

// With a broker that acknowledges large messages and discards them (mosquitto's
// message_size_limit), no history is lost.
func TestHistoryIsNotLostToASilentSizeLimit(t *testing.T) {
	t.Parallel()
	for _, most := range []int{4096, 1024} {
		t.Run(fmt.Sprint(most), func(t *testing.T) {
			t.Parallel()
			address := freeAddress(t)
			observer := &lastStatus{}
			a := startBy(t, startSettings("tcp://"+address, 10_000), NewMemory(10_000), observer)
			a.Health(message.Health{Agent: "test", Stamp: a.stamper.Stamp("health", time.Now())})
			const kept = 200
			a.samples(kept)
			time.Sleep(1500 * time.Millisecond) // until they are in the outbox
			if !mosquittoAt(t, address, fmt.Sprintf("message_size_limit %d\nmax_queued_messages 0\n", most)) {
				t.Skip("mosquitto is not installed")
			}
			r := readFrom(t, address)
			eventually(t, 3*time.Minute, "all of it", func() bool { return len(r.seqs(t, message.TopicCurrent, "history/current")) == kept })
			inOrder(t, sequence(t, r.on("history/current")))
			eventually(t, 20*time.Second, "a fault is reported", func() bool {
				return observer.last() != nil && strings.Contains(observer.last().Error(), "message_size_limit")
			})
		})
	}
}

// script is a Link that assigns message ids and records what was sent.
type script struct {
	topics []string
}

func (s *script) Publish(topic string, _ bool, _ []byte) uint16 {
	s.topics = append(s.topics, strings.TrimPrefix(topic, root))
	return uint16(len(s.topics))
}

// but returns the ids of the messages on other topics.
func (s *script) but(topics ...string) (ids []uint16) {
	for i, topic := range s.topics {
		if !slices.Contains(topics, topic) {
			ids = append(ids, uint16(i+1))
		}
	}
	return ids
}

// Connections that end before anything is acknowledged lead to no limit. Records that
// were kept back wrongly are sent later, also those that were not in the outbox yet.
func TestWronglyRefusedMessagesAreSentLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stamper, err := stamp.OnHost(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		p := New(startSettings("tcp://unused", 1000), root, stamper, NewMemory(1000), slog.New(slog.DiscardHandler), quiet{})
		connect := func() (*Connection, *script) {
			link := &script{}
			c := p.Connect(link)
			_ = c.Step() // the test checks what was sent
			return c, link
		}
		p.State(message.State{State: "normal"}, true)
		for range 2 * refusedAfter {
			c, _ := connect()
			c.End()
		}
		if p.limit.refused > 0 {
			t.Fatalf("%d bytes count as refused, and nothing was ever acknowledged", p.limit.refused)
		}
		for range refusedAfter {
			c, link := connect()
			c.Acknowledge(link.but(message.TopicState))
			c.End()
		}
		c, link := connect()
		p.State(message.State{State: "abnormal"}, true)
		_ = c.Step() // as above
		if slices.Contains(link.topics, message.TopicState) {
			t.Fatal("three connections ended at the state, and it was sent again")
		}
		// The broker accepts it after all.
		for range 200 {
			c.Acknowledge(link.but())
			p.Round()
			p.checkBroker()
			_ = c.Step() // as above
			time.Sleep(time.Second)
		}
		if n := len(link.topics) - len(link.but("history/state")); n != 2 {
			t.Errorf("%d of 2 states that were kept back arrived", n)
		}
		if p.kept != nil || len(p.setAside) > 0 {
			t.Errorf("%d records are still kept back: %v", len(p.setAside), p.kept)
		}
	})
}
