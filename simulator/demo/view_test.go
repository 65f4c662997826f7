package demo

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// No line has an empty field: until a state has arrived, it says so.
func TestFirstLineBeforeAState(t *testing.T) {
	var out strings.Builder
	v := &view{out: &out}
	p := &picture{}
	for i, want := range []string{"   1 s  the agent starts, no state has arrived yet\n", "   2 s  normal    p 0.00 by model  current ok   0.0   0.0   0.0 kA  video ok  coverage 0 % 0 %\n"} {
		out.Reset()
		if err := v.show(p, time.Duration(i+1)*time.Second, time.Minute); err != nil {
			t.Fatal(err)
		}
		if out.String() != want {
			t.Errorf("%q, want %q", out.String(), want)
		}
		p.state.State, p.state.Source, p.state.Senses.Current, p.state.Senses.Video = "normal", "model", "ok", "ok"
	}
}

func TestFirstFrameBeforeAState(t *testing.T) {
	first, later := frame(&picture{}, time.Second, time.Minute), frame(&picture{state: stateMessage{State: "normal"}}, time.Second, time.Minute)
	if len(first) > len(later) { // a shorter drawing would leave lines of the longer one
		t.Errorf("%d lines, then %d", len(first), len(later))
	}
	if text := strings.Join(first, "\n"); !strings.Contains(text, noState) || !strings.Contains(text, "agent –") {
		t.Errorf("%q", text)
	}
}

// Only a terminal can redraw; what is written elsewhere must hold no code of one.
func TestViewRedrawsOnATerminalAlone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "view")
	for path, live := range map[string]bool{os.DevNull: false, "/dev/zero": false, file: false, "/dev/ptmx": true} {
		out, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		v := newView(out)
		if v.live != live {
			t.Errorf("%s: redraws %v, want %v", path, v.live, live)
		}
		for range 2 {
			if err := v.show(&picture{}, time.Second, time.Minute); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(text) == 0 || strings.Contains(string(text), "\x1b") {
		t.Errorf("a file holds %q, want plain lines", text)
	}
}
