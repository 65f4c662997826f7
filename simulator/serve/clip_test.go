package serve

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is no film, or one that no viewer could begin to decode, is refused by its name.
func TestClipThatCannotBePlayed(t *testing.T) {
	header := "FLV\x01\x01\x00\x00\x00\x09\x00\x00\x00\x00"
	for text, want := range map[string]string{
		"":                          "read stream header",
		"RIFF....AVI LIST":          "",
		header:                      "a clip without pictures",
		header + "\x09\x00\x00\x40": "",
	} {
		path := filepath.Join(t.TempDir(), "film.flv")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := PlayClip(t.Context(), path, 25, func(int) {})
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := PlayClip(t.Context(), filepath.Join(t.TempDir(), "missing.flv"), 25, func(int) {}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}
