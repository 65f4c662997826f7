package agent

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"meltwatch/agent/decide"
)

// What the first settings of the decision were counts again once the first change is undone.
func TestUndoneChangeGivesTheFirstDecisionsSettingsBack(t *testing.T) {
	c := settingsOf(t, startSim(t), "tcp://127.0.0.1:1")
	a, err := NewFixed(c, hostEnv(t, slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range a.parts {
		p.now.stop = func() {} // only the decision runs here
	}
	t.Cleanup(a.running.Stop)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = a.loop.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	corrected := func() time.Duration {
		t.Helper()
		var s decide.Decision
		if err := a.loop.Do(ctx, func() { s = a.loop.Decide(ctx) }); err != nil {
			t.Fatal(err)
		}
		return s.Correction
	}
	wanted := c
	wanted.Camera.Delay = 2 * time.Second
	change, faults := a.Begin(wanted)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	if got := corrected(); got != 2*time.Second {
		t.Fatalf("the changed delay is %s", got)
	}
	change.Undo()
	if got := corrected(); got != c.Camera.Delay {
		t.Errorf("after the change was undone the delay is %s, want %s", got, c.Camera.Delay)
	}
}
