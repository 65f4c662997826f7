package settings

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"meltwatch/agent/message"
	"meltwatch/config"
)

// An outage of a week with a furnace read at 2 Hz fits into the default bounds.
func TestAWeeksOutageFitsIntoTheDefaults(t *testing.T) {
	c := config.Default().Outbox
	const week = 7 * 24 * 3600
	const third = 1. / 3 // a number with the most digits
	stamp := message.Stamp{Version: 1, Time: time.Now().Round(0), Boot: 1000, Seq: 2 * week, MonoMS: 1000 * week, KernelBoot: strings.Repeat("0", 36), Clock: "unsynced"}
	amperes := float64(float32(15_000 + third))
	bytes := map[string]int{
		"current": 2 * week * stored(t, message.Sample{Stamp: stamp, A: amperes, B: amperes, C: amperes, SetPoint: 15_000, UncertaintyMS: 0.123}),
		// One each ten seconds, and one change a minute.
		"state": (week/10 + week/60) * stored(t, message.State{
			Stamp: stamp, State: "abnormal", Since: stamp.Time, PAbnormal: third, PMean: third, Source: "model",
			Alignment: new(float64), Evidence: &message.Evidence{X: third, Y: third, Spread: third}, Senses: message.Senses{Current: "ok", Video: "ok"},
			Model: message.ModelName{Name: "product", Version: "1.0.0", SHA256: strings.Repeat("0", 64)}, LatencyMS: 123.456,
		}),
		"event": week / 60 * stored(t, message.Event{Stamp: stamp, Kind: "sense", From: "ok", To: "stale", Subject: "current", Cause: strings.Repeat("x", 100)}),
	}
	total := 0
	for class, most := range map[string]int{"current": c.CurrentMB, "state": c.StateMB, "event": c.EventMB} {
		total += bytes[class]
		if bytes[class] > most*1_000_000 {
			t.Errorf("%s takes %d bytes in a week, allowed %d MB", class, bytes[class], most)
		}
	}
	t.Logf("a week takes %v, %d bytes in all", bytes, total)
	if total > c.TotalMB*1_000_000 {
		t.Errorf("a week takes %d bytes, allowed %d MB", total, c.TotalMB)
	}
	if c.CurrentAge < week*time.Second {
		t.Errorf("current is dropped after %s", c.CurrentAge)
	}
}

// stored is the size of a record on disk in bytes.
func stored(t *testing.T, record any) int {
	t.Helper()
	payload, err := json.Marshal(record)
	if err != nil {
		t.Fatal(err)
	}
	const frameHead = 16
	return frameHead + len(payload)
}
