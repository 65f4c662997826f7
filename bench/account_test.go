package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"meltwatch/agent/mqtt"
)

func event(boot, seq int, cause string) []byte {
	return fmt.Appendf(nil, `{"v":1,"boot":%d,"seq":%d,"cause":%q}`, boot, seq, cause)
}

// A ledger that finds nothing proves nothing.
func TestAccountFindsWhatIsWrong(t *testing.T) {
	now := time.Now()
	for name, test := range map[string]struct {
		do          func(*account)
		lost, twice int
		fault       string
	}{
		"all is well": {do: func(a *account) {
			a.receive("r/event", event(1, 1, "a"))
			a.receive("r/event", event(1, 2, "b"))
		}},
		"one is lost": {lost: 1, do: func(a *account) { a.receive("r/event", event(1, 2, "b")) }},
		"one comes twice, once as history": {twice: 1, do: func(a *account) {
			a.receive("r/event", event(1, 1, "a"))
			a.receive("r/event", event(1, 2, "b"))
			a.receive("r/history/event", []byte(strings.TrimSuffix(string(event(1, 1, "a")), "}")+`,"historical":true}`))
		}},
		"one comes twice, unlike": {twice: 1, fault: "unlike", do: func(a *account) {
			a.receive("r/event", event(1, 1, "a"))
			a.receive("r/event", event(1, 2, "b"))
			a.receive("r/event", event(1, 2, "c"))
		}},
		"an older one comes first after a newer": {fault: "first delivered after", do: func(a *account) {
			a.receive("r/event", event(1, 2, "b"))
			a.receive("r/event", event(1, 1, "a"))
		}},
		"the other stream is another order": {do: func(a *account) {
			a.receive("r/event", event(1, 2, "b"))
			a.receive("r/history/event", event(1, 1, "a"))
		}},
		"no stamp":     {lost: 2, fault: "no stamp", do: func(a *account) { a.receive("r/event", []byte(`{}`)) }},
		"a wrong pack": {lost: 2, fault: "r/current", do: func(a *account) { a.receive("r/current", []byte(`[`)) }},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAccount("r/")
			a.made(mqtt.ClassEvent, 1, 2, now.Add(-time.Second))
			test.do(a)
			lost, _ := a.lost(mqtt.ClassEvent, 1, now)
			if _, _, twice := a.sums(); lost != test.lost || twice != test.twice {
				t.Errorf("%d lost, %d twice, want %d, %d", lost, twice, test.lost, test.twice)
			}
			if faults := strings.Join(a.faults, "; "); !strings.Contains(faults, test.fault) || (faults != "") != (test.fault != "") {
				t.Errorf("faults %q, want %q", faults, test.fault)
			}
			if young, _ := a.lost(mqtt.ClassEvent, 1, now.Add(-time.Minute)); young != 0 {
				t.Errorf("%d count as lost that are younger", young)
			}
		})
	}
}

func TestLineOfAVictimThatWasCutOffDoesNotCount(t *testing.T) {
	whole := "made event 3 1234."
	if s, ok := parseSaying(whole); !ok || s.class != mqtt.ClassEvent || s.boot != 3 || s.seq != 1234 {
		t.Errorf("got %+v, %v", s, ok)
	}
	for end := range whole {
		if s, ok := parseSaying(whole[:end]); ok {
			t.Errorf("%q became %+v", whole[:end], s)
		}
	}
	if s, ok := parseSaying("waiting 5 6 7."); !ok || s.class != "" || s.waiting != 5 || s.acked != 6 || s.overrun != 7 {
		t.Errorf("got %+v, %v", s, ok)
	}
}

func TestTableIsPutBetweenItsMarks(t *testing.T) {
	page := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(page, []byte("head\n<!-- figures -->\nold\n<!-- /figures -->\ntail\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := insert(page, "figures", "new\n"); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(page)
	if err != nil || string(text) != "head\n<!-- figures -->\nnew\n<!-- /figures -->\ntail\n" {
		t.Errorf("got %q, %v", text, err)
	}
	if err := insert(page, "outage", "x"); err == nil {
		t.Error("a page without the marks was accepted")
	}
}
