package rig

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"meltwatch/agent/message"
)

// event is an event's payload as it comes live, or as history.
func event(seq int, cause string, history bool) []byte {
	mark := ""
	if history {
		mark = `,"historical":true`
	}
	return fmt.Appendf(nil, `{"boot":3,"seq":%d%s,"cause":%q}`, seq, mark, cause)
}

// Each way in which a delivery may break the contract is seen by the ledger.
func TestLedgerSeesWhatIsWrong(t *testing.T) {
	const root = "meltwatch/a/b/"
	for _, c := range []struct {
		fact     string
		deliver  func(l *Ledger)
		repeated int
		fault    string
	}{
		{"in order", func(l *Ledger) {
			l.Receive(root+"event", event(1, "x", false))
			l.Receive(root+"event", event(2, "x", false))
		}, 0, ""},
		{"twice, once as history", func(l *Ledger) {
			l.Receive(root+"event", event(1, "x", false))
			l.Receive(root+"history/event", event(1, "x", true))
		}, 1, ""},
		{"twice, unlike", func(l *Ledger) {
			l.Receive(root+"event", event(1, "x", false))
			l.Receive(root+"event", event(1, "y", false))
		}, 1, "came twice, unlike"},
		{"out of order", func(l *Ledger) {
			l.Receive(root+"event", event(2, "x", false))
			l.Receive(root+"event", event(1, "x", false))
		}, 0, "first delivered after"},
		{"without a name", func(l *Ledger) { l.Receive(root+"event", []byte(`{"cause":"x"}`)) }, 0, "no stamp"},
		{"unreadable", func(l *Ledger) { l.Receive(root+"current", []byte(`{"samples":`)) }, 0, "current"},
		{"another topic", func(l *Ledger) { l.Receive(root+"health", []byte(`{`)) }, 0, ""},
	} {
		l := NewLedger(root)
		c.deliver(l)
		_, _, repeated := l.Sums()
		faults := strings.Join(l.Faults(), "; ")
		if repeated != c.repeated || (faults == "") != (c.fault == "") || !strings.Contains(faults, c.fault) {
			t.Errorf("%s: %d repeated, faults %q; want %d, %q", c.fact, repeated, faults, c.repeated, c.fault)
		}
	}
}

func TestLedgerNamesWhatWasLost(t *testing.T) {
	l := NewLedger("r/")
	began := time.Now()
	l.Made(message.ClassEvent, 3, 2, began)
	l.Made(message.ClassEvent, 3, 4, began.Add(time.Second))
	l.Receive("r/event", event(1, "x", false))
	l.Receive("r/event", event(3, "x", false))
	if n, first := l.Lost(message.ClassEvent, 3, began.Add(time.Minute)); n != 2 || first != 2 {
		t.Errorf("%d lost from %d on, want 2 from 2 on", n, first)
	}
	if n, _ := l.Lost(message.ClassEvent, 3, began.Add(time.Second)); n != 1 {
		t.Errorf("%d lost before the second batch, want 1", n)
	}
	if n := l.Gaps(message.ClassEvent); n != 2 {
		t.Errorf("%d gaps, want 2", n)
	}
	if made, received, _ := l.Sums(); made != 4 || received != 2 {
		t.Errorf("%d made, %d received; want 4, 2", made, received)
	}
	if n := l.ReceivedSince(began); n != 2 {
		t.Errorf("%d received since the start, want 2", n)
	}
}
