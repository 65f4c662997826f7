package latency

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"meltwatch/agent/message"
	"meltwatch/bench/rig"
)

// A state is timed against the newest sample of its own window, not against one that
// arrived later.
func TestStateIsTimedAgainstItsNewestSample(t *testing.T) {
	w := &watch{root: "r/", echo: &rig.Timings{}, decided: map[string]int{}}
	w.begin()
	now := time.Now()
	for _, ago := range []time.Duration{1010 * time.Millisecond, 510 * time.Millisecond, 10 * time.Millisecond} {
		payload := message.Pack([][]byte{encode(t, message.Sample{Stamp: message.Stamp{Time: now.Add(-ago)}})}, false)
		w.take("r/current", payload)
	}
	w.take("r/state", encode(t, message.State{Stamp: message.Stamp{Time: now.Add(-505 * time.Millisecond)}}))
	if took := w.state.Percentile(50); took < 510*time.Millisecond || took > 800*time.Millisecond {
		t.Errorf("the state came %s after its newest sample", took)
	}
	if w.sample.Count() != 3 || w.state.Count() != 1 {
		t.Errorf("%d samples and %d states", w.sample.Count(), w.state.Count())
	}
}

// The farewell of the agent before, and its samples, are not the first messages of the next.
func TestFirstMessageIsTheNewAgents(t *testing.T) {
	w := &watch{root: "r/", echo: &rig.Timings{}, decided: map[string]int{}}
	before := time.Now().Add(-time.Second)
	w.started()
	w.take("r/availability", []byte(message.Offline))
	w.take("r/current", message.Pack([][]byte{encode(t, message.Sample{Stamp: message.Stamp{Time: before}})}, false))
	if w.first.Count() != 0 || w.firstSample.Count() != 0 {
		t.Fatal("the agent before counts")
	}
	w.take("r/availability", []byte(message.Online))
	for range 2 {
		w.take("r/current", message.Pack([][]byte{encode(t, message.Sample{Stamp: message.Stamp{Time: time.Now()}})}, false))
	}
	if w.first.Count() != 1 || w.firstSample.Count() != 1 {
		t.Errorf("%d first messages, %d first samples", w.first.Count(), w.firstSample.Count())
	}
	if !strings.Contains(string(w.measured().table()), "| start to the first sample |") {
		t.Errorf("table:\n%s", w.measured().table())
	}
}

func encode(t *testing.T, value any) []byte {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
