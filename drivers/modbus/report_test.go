package modbus

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// A fault that lasts an hour is told when it starts, once a minute, and when it
// ends.
func TestFaultIsLoggedSparingly(t *testing.T) {
	var written bytes.Buffer
	f := fault{log: slog.New(slog.NewTextHandler(&written, nil))}
	now := time.Unix(0, 0)
	f.note(nil, now)
	for range 2 * 60 * 60 {
		now = now.Add(500 * time.Millisecond)
		f.note(errors.New("no answer"), now)
	}
	f.note(nil, now)
	f.note(nil, now)
	lines := strings.Split(strings.TrimSpace(written.String()), "\n")
	if len(lines) != 1+59+1 {
		t.Fatalf("%d lines in an hour:\n%s", len(lines), written.String())
	}
	if !strings.Contains(lines[0], `msg="meter fails" error="no answer"`) {
		t.Errorf("first line: %s", lines[0])
	}
	if !strings.Contains(lines[60], `msg="meter recovered"`) || !strings.Contains(lines[60], "failed_polls=7200") {
		t.Errorf("last line: %s", lines[60])
	}
}
