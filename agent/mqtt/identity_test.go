package mqtt

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestAgentOfOurNameIsToldOnceAndForgottenWhenSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		watch := &heeded{}
		p := New(startSettings("tcp://127.0.0.1:1", 100), root, StamperAt(1, "k", &wrongClock{began: time.Now()}, "mine-instance"), NewMemory(10), slog.New(slog.DiscardHandler), watch)
		theirs := []byte(`{"boot":7,"instance":"theirs-instance"}`)
		p.hearHealth([]byte(`{"boot":1,"instance":"mine-instance"}`), false, true)
		p.hearHealth(theirs, true, false) // a predecessor's
		p.hearHealth([]byte("nonsense"), false, true)
		if len(p.fresh) != 0 || p.clientID() != "test" {
			t.Fatalf("%d events, client id %s, want none", len(p.fresh), p.clientID())
		}
		for range 3 {
			p.hearHealth(theirs, false, true)
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
	})
}
