package delivery

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"meltwatch/agent/message"
	"meltwatch/agent/stamp"
)

func TestOtherAgentIsReportedOnceAndEndsWhenSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		watch := &lastStatus{}
		var log bytes.Buffer
		p := New(startSettings("tcp://127.0.0.1:1", 100), root, stamp.At(1, "k", stamp.KernelClock{}, "mine-instance"), NewMemory(10), slog.New(slog.NewTextHandler(&log, nil)), watch)
		theirs := []byte(`{"boot":7,"instance":"theirs-instance"}`)
		p.onHealth([]byte(`{"boot":1,"instance":"mine-instance"}`), false, true)
		p.onHealth(theirs, true, false) // of an earlier process
		p.onHealth([]byte("nonsense"), false, true)
		if len(p.fresh) != 0 || p.clientID() != "test" {
			t.Fatalf("%d events, client id %s, want none", len(p.fresh), p.clientID())
		}
		for range 3 {
			p.onHealth(theirs, false, true)
			time.Sleep(10 * time.Second)
			p.checkOther()
		}
		if len(p.fresh) != 1 || watch.last() == nil || p.clientID() != "test-mine-ins" {
			t.Fatalf("%d events, fault %v, client id %s", len(p.fresh), watch.last(), p.clientID())
		}
		time.Sleep(otherGone)
		p.checkOther()
		p.checkOther()
		if len(p.fresh) != 2 || watch.last() != nil || p.clientID() != "test" || !strings.Contains(string(p.fresh[1].payload), `"alone"`) {
			t.Fatalf("%d events, fault %v, client id %s", len(p.fresh), watch.last(), p.clientID())
		}
		for _, want := range []string{`level=WARN msg="agent identity changed" to=shared`, `level=INFO msg="agent identity changed" to=alone`} {
			if strings.Count(log.String(), want) != 1 {
				t.Errorf("the log lacks %q:\n%s", want, log.String())
			}
		}
	})
}

// Two boxes with one name: both report it, and they no longer disconnect each other.
func TestTwoAgentsOfOneNameReportIt(t *testing.T) {
	t.Parallel()
	d := &authenticator{}
	b := brokerBehind(t, plain, d)
	watch := [2]*lastStatus{{}, {}}
	var agents [2]*agent
	c := startSettings(b.url(), 1000)
	c.KeepAlive = 10 * time.Second // a busy machine must not cause disconnections
	for i := range agents {
		agents[i] = startBy(t, c, NewMemory(1000), watch[i])
	}
	ends := time.Now().Add(40 * time.Second)
	shared := func(i int) bool {
		err := watch[i].last()
		return err != nil && strings.Contains(err.Error(), "another agent")
	}
	for !(shared(0) && shared(1)) {
		if time.Now().After(ends) {
			t.Fatalf("not seen: %v, %v; clients %v", watch[0].last(), watch[1].last(), d.clientIDs())
		}
		for _, a := range agents {
			a.Health(message.Health{Agent: "test", Stamp: a.stamper.Stamp("health", time.Now())})
		}
		time.Sleep(300 * time.Millisecond)
	}
	eventually(t, 20*time.Second, "an event of each", func() bool {
		n := 0
		for _, topic := range []string{message.TopicEvent, message.TopicHistory + message.TopicEvent} {
			for _, m := range b.on(root + topic) {
				if strings.Contains(m.payload, `"identity"`) {
					n++
				}
			}
		}
		return n >= 2
	})
	eventually(t, 20*time.Second, "one of them under another id", func() bool {
		came := d.clientIDs()
		return slices.ContainsFunc(agents[:], func(a *agent) bool { return slices.Contains(came, "test-"+a.stamper.Instance()[:8]) })
	})
	time.Sleep(9 * time.Second) // longer than any wait
	before := len(d.clientIDs())
	time.Sleep(9 * time.Second)
	if after := d.clientIDs(); len(after) > before {
		t.Errorf("they still disconnect each other: %v", after[before:])
	}
}

func TestEarlierProcessIsNotAnotherAgent(t *testing.T) {
	b := newBroker(t)
	first := startAgent(t, b.url(), 1000)
	first.Health(message.Health{Agent: "test"})
	eventually(t, 10*time.Second, "health", func() bool { return b.retained(root+message.TopicHealth) != "" })
	first.stop()
	watch := &lastStatus{}
	second := startBy(t, startSettings(b.url(), 1000), NewMemory(1000), watch)
	second.Health(message.Health{Agent: "test"})
	eventually(t, 10*time.Second, "health of the second", func() bool {
		return strings.Contains(b.retained(root+message.TopicHealth), second.stamper.Instance())
	})
	b.down()
	b.up() // its own health comes back to it, retained
	time.Sleep(2 * time.Second)
	if n := len(b.on(root + message.TopicEvent)); n != 0 || watch.last() != nil && strings.Contains(watch.last().Error(), "another agent") {
		t.Errorf("%d events, fault %v", n, watch.last())
	}
}
