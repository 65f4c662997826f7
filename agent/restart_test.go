package agent

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"meltwatch/agent/decide"
	"meltwatch/agent/message"
	"meltwatch/agent/state"
	"meltwatch/simulator/furnace"
)

// savedState is what the agent keeps of the furnace for its next start.
type savedState struct {
	State      state.State
	Seen       time.Time
	Background *decide.Background
}

func (p *plant) saved() (s savedState) {
	p.t.Helper()
	text, err := os.ReadFile(filepath.Join(p.agent.config.Load().Paths.State, "state.json"))
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return s
}

// restart ends the agent and starts it again with the same file and folders.
func (p *plant) restart() {
	p.t.Helper()
	if err := p.stop(); err != nil {
		p.t.Fatal(err)
	}
	p.start()
}

// An agent that is restarted during an alarm compares its pictures with the background that it
// had before: one that it learnt now would hold the hot spot. The background is in use once the
// model has confirmed the alarm, and is kept for a further restart.
func TestAgentRestartedDuringAnAlarmResumesTheBackground(t *testing.T) {
	long(t)
	t.Parallel()
	p := newPlant(t, furnace.Scenario{Name: "soon abnormal", Seed: 1, SetPoint: 15_000, Segments: []furnace.Segment{
		{State: furnace.Normal, Seconds: 2}, {State: furnace.Abnormal, Seconds: 600}, // its hot spot is visible after 40 s
	}}, ", state: {mean_seconds: 2, enter: 0.5, exit: 0.3}") // an alarm comes sooner than by the model's thresholds
	var since time.Time
	p.within(120*time.Second, "an alarm", func(s message.State) bool {
		since = s.Since
		return s.State == "abnormal"
	})
	p.until("the alarm is saved", func() bool { return p.saved().State == state.Abnormal })
	before := p.saved().Background
	if before == nil {
		t.Fatal("the alarm is saved without a background")
	}

	p.restart()
	restarted := time.Now()
	same := func(s message.State) bool { return s.State == "abnormal" && s.Since.Equal(since) }
	p.within(20*time.Second, "the alarm is held", func(s message.State) bool { return same(s) && s.Held })
	p.until("the held alarm is saved", func() bool { return p.saved().Seen.After(restarted) })
	held := p.saved()
	p.within(60*time.Second, "the model confirms the alarm", func(s message.State) bool { return same(s) && !s.Held && s.Source == "model" })
	var used *decide.Background
	if err := p.agent.loop.Do(t.Context(), func() { used = p.agent.loop.Decider().Background() }); err != nil {
		t.Fatal(err)
	}
	p.until("the confirmed alarm is saved", func() bool { return p.saved().Seen.After(held.Seen) })
	for name, b := range map[string]*decide.Background{"saved with the held alarm": held.Background, "in use": used, "saved with the confirmed alarm": p.saved().Background} {
		if b == nil || b.Model != before.Model || b.Camera != before.Camera || !bytes.Equal(b.Values, before.Values) {
			t.Errorf("the background %s is not the one before the restart", name)
		}
	}
}
