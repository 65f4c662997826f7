package agent

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"meltwatch/agent/message"
	"meltwatch/simulator/broker"
)

func retained(s *broker.Server, topic string) string {
	for _, p := range s.Topics.Messages("meltwatch/test/f1/" + topic) {
		return string(p.Payload)
	}
	return ""
}

// The connection to the new broker overlaps the old one, which publishes offline once
// the new broker has acknowledged a message. No record is lost.
func TestBrokerIsChangedRemotely(t *testing.T) {
	t.Parallel()
	p := newPlant(t, working())
	p.healthy()
	old := p.server
	began := time.Now()
	fresh := p.broker() // delivers to the same records
	desired := fmt.Sprintf(`{"revision": 3, "deadline_s": 20, "config": {"mqtt": {"broker": %q}}}`, fresh)
	if err := old.Publish("meltwatch/test/f1/config/desired", []byte(desired), true, 1); err != nil {
		t.Fatal(err)
	}
	r := p.reported(began)
	if r.Status != "applied" || r.RunningRevision != 3 {
		t.Fatalf("report %+v", r)
	}
	time.Sleep(5 * time.Second)
	if a, b := retained(old, "availability"), retained(p.server, "availability"); a != "offline" || b != "online" {
		t.Errorf("availability: %s on the old broker, %s on the new", a, b)
	}
	if report := retained(p.server, "config/reported"); !strings.Contains(report, `"applied"`) {
		t.Errorf("the new broker has no report: %s", report)
	}
	p.eachSampleArrives(began)
	if pause := p.longestSilence(began); pause > 2*time.Second {
		t.Errorf("no state for %s", pause)
	}
	// The agent receives documents from the new broker now.
	if r := p.ask(`{"revision": 4, "deadline_s": 20, "config": {"mqtt": {"broker": "` + fresh + `"}, "state": {"hold_seconds": 14}}}`); r.Status != "applied" || r.RunningRevision != 4 {
		t.Errorf("report %+v", r)
	}
}

// An edit of the local file is handled like a document. TestReloadCommand sends the
// signal.
func TestEditedFileIsAppliedAtReload(t *testing.T) {
	long(t)
	p := newPlant(t, working())
	p.healthy()
	text, err := os.ReadFile(p.file)
	if err != nil {
		t.Fatal(err)
	}
	edit := func(more string) message.ConfigReport {
		began := time.Now()
		writeFile(t, p.file, strings.TrimSuffix(string(text), "}")+more+"}", 0o600)
		p.agent.Reload()
		return p.reported(began)
	}
	p.unharmedWhile(func() {
		if r := edit(", state: {mean_seconds: 33}"); r.Status != "applied" || r.From != "file" {
			t.Errorf("report %+v", r)
		}
		if r := edit(", state: {mean_seconds: many}"); r.Status != "rejected" || !at(r, "state.mean_seconds") {
			t.Errorf("report %+v", r)
		}
		if r := edit(", remote: {config: false}"); r.Status != "applied" {
			t.Errorf("report %+v", r)
		}
		if r := p.ask(`{"revision": 1, "config": {}}`); r.Status != "rejected" || !at(r, "remote.config") {
			t.Errorf("report %+v", r)
		}
	})
}
