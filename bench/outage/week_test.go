package outage

import (
	"encoding/json"
	"testing"
	"time"

	"meltwatch/agent/message"
	"meltwatch/config"
)

// An outage of a week at 2 Hz, with a state every ten seconds and a hundred events a
// day, fits into the default bounds. The records are as long as they get.
func TestAWeekFitsIntoTheDefaultBounds(t *testing.T) {
	stamp := message.Stamp{
		Version: 1, Time: time.Date(2026, 11, 23, 14, 15, 16, 123456789, time.UTC), Boot: 1_785_000_000, Seq: 1_209_600,
		MonoMS: 9_876_543_210, KernelBoot: "0f8fad5b-d9cb-469f-a165-70867728950e", Clock: "restamped",
	}
	third := 1.0 / 3
	sample := message.Sample{
		Stamp: stamp, A: 14_999.998046875, B: 15_001.251953125, C: 15_123.456787109375, SetPoint: 15_000,
		Feeding: false, Exhaust: false, Manual: false, UncertaintyMS: 10.123,
	}
	state := message.State{
		Stamp: stamp, State: "abnormal", Since: stamp.Time, PAbnormal: 0.12345678901234567, PMean: third, Source: "model",
		Alignment: &third, ClockOffsetS: &third, Evidence: &message.Evidence{X: third, Y: third, Spread: third},
		Senses: message.Senses{Current: "absent", Video: "absent"}, Coverage: message.Coverage{Current: third, Video: third},
		Model:     message.ModelName{Name: "product", Version: "2026.11.23-1", SHA256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},
		LatencyMS: 123.456,
	}
	event := message.Event{Stamp: stamp, Kind: "source", Subject: "verdict", From: "model", To: "rule", Cause: "model: call Step: context deadline exceeded, and more words than usual"}
	const frame, megabyte, days = 16, 1_000_000, 7
	size := func(record any) int {
		text, err := json.Marshal(record)
		if err != nil {
			t.Fatal(err)
		}
		return len(text) + frame
	}
	bounds := config.Default().Outbox
	total := 0
	for _, class := range []struct {
		name        string
		bytes, each int // of one record; how many a day
		bound       int // megabytes
	}{
		{"current", size(sample), 2 * 86_400, bounds.CurrentMB},
		{"state", size(state), 8_640 + 200, bounds.StateMB},
		{"event", size(event), 100, bounds.EventMB},
	} {
		week := class.bytes * class.each * days
		t.Logf("%s: %d bytes a record, %d MB a week", class.name, class.bytes, week/megabyte)
		if week > class.bound*megabyte {
			t.Errorf("a week of %s takes %d MB, its bound is %d", class.name, week/megabyte, class.bound)
		}
		total += week
	}
	if total > bounds.TotalMB*megabyte || bounds.TotalMB > 512 {
		t.Errorf("a week takes %d MB, the bound is %d, promised are 512", total/megabyte, bounds.TotalMB)
	}
}
