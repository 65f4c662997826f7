package logging

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
)

func TestJournalLinesHavePriorityAndNoTime(t *testing.T) {
	var out bytes.Buffer
	log := New(&out, Options{Format: "text", Level: slog.LevelDebug, Journal: true}).With("part", "meters")
	log.Error("meter silent", "err", "two\nlines")
	log.Warn("slow")
	log.Info("well")
	log.Debug("byte")
	log.Log(t.Context(), slog.LevelDebug-1, "below the level")
	const want = `<3>level=ERROR msg="meter silent" part=meters err="two\nlines"` + "\n" +
		"<4>level=WARN msg=slow part=meters\n<6>level=INFO msg=well part=meters\n<7>level=DEBUG msg=byte part=meters\n"
	if have := out.String(); have != want {
		t.Errorf("have\n%s\nwant\n%s", have, want)
	}
}

func TestJournalLinesInJSON(t *testing.T) {
	var out bytes.Buffer
	New(&out, Options{Format: "json", Level: slog.LevelInfo, Journal: true}).WithGroup("meter").Warn("slow", "ms", 12)
	line, found := strings.CutPrefix(out.String(), "<4>")
	var fields map[string]any
	if err := json.Unmarshal([]byte(line), &fields); !found || err != nil {
		t.Fatalf("%q: %v", out.String(), err)
	}
	if _, timed := fields["time"]; timed || fields["msg"] != "slow" {
		t.Errorf("have %v", fields)
	}
}

func TestTerminalLinesHaveATime(t *testing.T) {
	var out bytes.Buffer
	New(&out, Options{Format: "text", Level: slog.LevelInfo}).Info("well")
	if !strings.HasPrefix(out.String(), "time=") {
		t.Errorf("have %q", out.String())
	}
}

// The environment can make a log more detailed, and the configuration too.
func TestLowerLevelWins(t *testing.T) {
	configured := &slog.LevelVar{}
	var out bytes.Buffer
	log := New(&out, Options{Level: Lower(configured, slog.LevelWarn)})
	log.Debug("first")
	configured.Set(slog.LevelDebug)
	log.Debug("second")
	configured.Set(slog.LevelError)
	log.Warn("third")
	if have := out.String(); strings.Contains(have, "first") || !strings.Contains(have, "second") || !strings.Contains(have, "third") {
		t.Errorf("have %s", have)
	}
}
