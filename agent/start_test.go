package agent

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"meltwatch/durable"
)

// An agent starts with any alarm that its last run has left.
func TestAgentStartsWithAnAlarm(t *testing.T) {
	for name, text := range map[string]string{
		"raised": `{"id": "7-1", "phase": "raised"}`, "cleared": `{"id": "7-1", "phase": "cleared"}`, "shelved": `{"id": "7-1", "phase": "shelved"}`,
		"empty": "", "torn": `{"id": "7-1", "ph`, "another type": `[1]`,
	} {
		t.Run(name, func(t *testing.T) {
			c := settingsOf(t, startSim(t), "tcp://127.0.0.1:1")
			if err := durable.WriteFile(filepath.Join(c.Paths.State, "alarm.json"), []byte(text)); err != nil {
				t.Fatal(err)
			}
			a, err := NewFixed(c, hostEnv(t, slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			last, whole := a.alarms.Newest(), strings.HasSuffix(text, `"}`)
			if whole != (last != nil && last.ID == "7-1") {
				t.Errorf("goes on with %+v", last)
			}
		})
	}
}
