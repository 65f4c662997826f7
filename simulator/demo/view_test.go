package demo

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

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
