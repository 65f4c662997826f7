package agent

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"meltwatch/agent/message"
	"meltwatch/drivers/drivertest"
)

// desire publishes a retained document, like a technician.
func (p *plant) desire(payload string) {
	p.t.Helper()
	if err := p.server.Publish("meltwatch/test/f1/config/desired", []byte(payload), true, 1); err != nil {
		p.t.Fatal(err)
	}
}

// reported waits for a final report after a time.
func (p *plant) reported(after time.Time) message.ConfigReport {
	p.t.Helper()
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		p.mu.Lock()
		text := p.lastPayload["config/reported"]
		p.mu.Unlock()
		var r message.ConfigReport
		if text != nil {
			if err := json.Unmarshal(text, &r); err != nil {
				p.t.Fatal(err)
			}
		}
		if r.Time.After(after) && r.Status != "applying" {
			return r
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("no report; the last is %s", text)
		}
	}
}

// ask publishes a document and returns the final report.
func (p *plant) ask(payload string) message.ConfigReport {
	p.t.Helper()
	began := time.Now()
	p.desire(payload)
	return p.reported(began)
}

// slack is the delay that a machine busy with other tests may cause.
const slack = 2 * time.Second

// unharmed checks that unchanged parts have published without a loss since a time: a
// sample each 500 ms and a state each second.
func (p *plant) unharmed(since time.Time) {
	p.t.Helper()
	if gap := p.longestGap(since); gap > time.Second+slack {
		p.t.Errorf("current stood still for %s", gap)
	}
	if pause := p.longestSilence(since); pause > 2*time.Second+slack {
		p.t.Errorf("no state for %s", pause)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := 1; i < len(p.states); i++ {
		if a, b := p.states[i-1], p.states[i]; b.at.After(since) && b.Seq != a.Seq+1 {
			p.t.Errorf("state %d follows %d", b.Seq, a.Seq)
		}
	}
	for i := 1; i < len(p.samples); i++ {
		if a, b := p.samples[i-1], p.samples[i]; b.at.After(since) && b.Seq != a.Seq+1 {
			p.t.Errorf("sample %d follows %d", b.Seq, a.Seq)
		}
	}
}

func at(r message.ConfigReport, key string) bool {
	for _, e := range r.Errors {
		if e.Key == key && e.Message != "" {
			return true
		}
	}
	return false
}

// Every document of the table is rejected or rolled back, with its key and a reason.
// Parts that it does not change miss neither a sample nor a state.
func TestBadDocumentsHarmNothing(t *testing.T) {
	long(t)
	t.Parallel()
	p := newPlant(t, working())
	p.healthy()
	if r := p.ask(`{"revision": 5, "config": {"state": {"hold_seconds": 12}}}`); r.Status != "applied" || r.RunningRevision != 5 {
		t.Fatalf("report %+v", r)
	}
	p.unharmedWhile(func() {
		running := p.reported(time.Time{}).SHA256
		table := badDocuments()
		for name, c := range table {
			began := time.Now()
			r := p.ask(c.payload)
			if r.Status != c.status || !at(r, c.key) || r.RunningRevision != 5 || r.SHA256 != running {
				t.Errorf("%s: %+v, want %s for %q", name, r, c.status, c.key)
			}
			if strings.Contains(fmt.Sprint(r.Errors), "secret") {
				t.Errorf("%s: the report repeats a secret: %+v", name, r.Errors)
			}
			if took := time.Since(began); took > 10*time.Second+slack {
				t.Errorf("%s: took %s", name, took)
			}
		}
		t.Logf("%d bad documents", len(table))
		if len(table) < 40 {
			t.Errorf("only %d documents", len(table))
		}
	})
	p.within(20*time.Second, "video back after the last unreachable camera", func(s message.State) bool { return s.Senses.Video == "ok" })
}

// unharmedWhile also checks that the meters' part is not replaced: a new instance would
// count from 0 and open its lines again.
func (p *plant) unharmedWhile(f func()) {
	p.t.Helper()
	began, before := time.Now(), p.agent.registry.Snapshot()["meters"].Counters
	f()
	p.unharmed(began)
	after := p.agent.registry.Snapshot()["meters"].Counters
	if after["polls"] < before["polls"] || after["redials"] != before["redials"] || after["errors"] != before["errors"] {
		p.t.Errorf("the meters were replaced: %v, then %v", before, after)
	}
}

// The meters' section: a change that works, and one that polls faster than the meter
// answers.
func TestMetersAreChangedAndChangedBack(t *testing.T) {
	long(t)
	t.Parallel()
	p := newPlant(t, working())
	p.healthy()
	slow := drivertest.SlowMeter(t, p.sim.MeterURL(), 300*time.Millisecond)
	if r := p.ask(fmt.Sprintf(`{"revision": 1, "deadline_s": 20, "config": {"meters": {"plc": {"url": %q, "period": "1s", "timeout": "900ms"}}}}`, slow)); r.Status != "applied" {
		t.Fatalf("report %+v", r)
	}
	began := time.Now()
	r := p.ask(fmt.Sprintf(`{"revision": 2, "deadline_s": 5, "config": {"meters": {"plc": {"url": %q, "period": "200ms", "timeout": "150ms"}}}}`, slow))
	if r.Status != "rolled_back" || !at(r, "meters.plc") || r.RunningRevision != 1 {
		t.Errorf("report %+v", r)
	}
	p.within(10*time.Second, "current back", func(s message.State) bool { return s.Senses.Current == "ok" })
	if took := time.Since(began); took > 60*time.Second {
		t.Errorf("back after %s", took)
	}
	if pause := p.longestSilence(began); pause > 2*time.Second+slack {
		t.Errorf("no state for %s", pause)
	}
}

// Good changes of every other section, one after the other and all at once.
func TestGoodChangesAreAppliedAndTouchNothingElse(t *testing.T) {
	t.Parallel()
	p := newPlant(t, working())
	p.healthy()
	p.unharmedWhile(func() {
		for i, config := range []string{
			`{"state": {"mean_seconds": 25, "hold_seconds": 15}}`,
			`{"log": {"level": "debug"}}`,
			`{"model": {"timeout": "600ms"}}`,
			`{"camera": {"timeout": "4s"}}`,
		} {
			if r := p.ask(fmt.Sprintf(`{"revision": %d, "deadline_s": 30, "config": %s}`, i+1, config)); r.Status != "applied" || r.RunningRevision != int64(i+1) {
				t.Errorf("%s: %+v", config, r)
			}
		}
	})
	// history_rate makes a new connection to the same broker.
	began := time.Now()
	if r := p.ask(`{"revision": 10, "deadline_s": 30, "config": {"mqtt": {"history_rate": 150}, "outbox": {"event_mb": 30}}}`); r.Status != "applied" {
		t.Errorf("report %+v", r)
	}
	time.Sleep(3 * time.Second)
	if got := string(p.payloadOn("availability")); got != "online" {
		t.Errorf("availability %q", got)
	}
	p.eachSampleArrives(began)
	if r := p.ask(``); r.Status != "applied" || r.RunningRevision != 0 {
		t.Errorf("empty payload: %+v", r)
	}
}

func (p *plant) payloadOn(topic string) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lastPayload[topic]
}

// eachSampleArrives waits until every sample since a time has arrived, live or as
// history.
func (p *plant) eachSampleArrives(since time.Time) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := map[uint64]bool{}
	first, last := uint64(0), uint64(0)
	for _, s := range p.samples {
		if s.at.Before(since) {
			continue
		}
		if first == 0 || s.Seq < first {
			first = s.Seq
		}
		last = max(last, s.Seq)
		seen[s.Seq] = true
	}
	for seq := first; seq <= last; seq++ {
		if !seen[seq] {
			p.t.Errorf("sample %d never arrived", seq)
		}
	}
}
