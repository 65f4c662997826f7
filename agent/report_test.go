package agent

import (
	"encoding/json"
	"log/slog"
	"math"
	"testing"
	"time"

	"meltwatch/agent/align"
	"meltwatch/agent/decide"
	"meltwatch/agent/infer"
	"meltwatch/agent/stamp"
)

// published returns the state of a decision as a subscriber reads it.
func published(t *testing.T, s decide.Decision) map[string]any {
	t.Helper()
	stamper, err := stamp.OnHost(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	a := &Agent{}
	a.live.Store(&modelInstance{client: infer.New("", "", slog.New(slog.DiscardHandler), nil)})
	r := &reporter{agent: a, stamper: stamper}
	text, err := json.Marshal(r.payload(s))
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatal(err)
	}
	return fields
}

func TestStateHasTheClockOffsetOnlyIfItIsKnown(t *testing.T) {
	unknown := published(t, decide.Decision{End: time.Now(), Alignment: math.NaN(), Surprise: math.NaN()})
	for _, key := range []string{"clock_offset_s", "clock_spread_s", "clock_correction_s", "surprise"} {
		if value, there := unknown[key]; there {
			t.Errorf("%s is %v although the offset is unknown", key, value)
		}
	}
	known := published(t, decide.Decision{
		End: time.Now(), Alignment: 0.5, Surprise: 0.25, Counted: decide.Counted{Current: true},
		Offset: &align.Estimate{Seconds: -1.5, Spread: 0.2, Windows: 60}, Correction: -500 * time.Millisecond,
	})
	for key, want := range map[string]any{"clock_offset_s": -1.5, "clock_spread_s": 0.2, "clock_correction_s": -0.5, "surprise": 0.25} {
		if known[key] != want {
			t.Errorf("%s is %v, want %v", key, known[key], want)
		}
	}
	if counted := known["counted"].(map[string]any); counted["current"] != true || counted["video"] != false {
		t.Errorf("counted %v", counted)
	}
}
