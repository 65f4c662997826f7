package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"meltwatch/agent/check"
	"meltwatch/commandline"
)

// A wrong command line is refused before anything is tried.
func TestCheckRefusesAWrongCommandLine(t *testing.T) {
	for arguments, want := range map[string]string{
		"check --only meters,broker":         "",
		"check --only meters --only disk":    "",
		"check --only meters,meter":          `unknown check "meter": name some of config`,
		"check --timeout 0s":                 "--timeout: 0s is invalid",
		"check --json --offline --timeout=x": "--timeout",
	} {
		parser, err := commandline.Parser(program(), &commands{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = parser.Parse(strings.Fields(arguments))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", arguments, err, want)
		}
	}
}

// Each key at fault has a line of its own, and every other check is skipped with the
// reason, as text and as JSON.
func TestCheckOfAnInvalidFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(path, []byte("site: plant/1\nfurnac: f1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, asJSON := range []bool{false, true} {
		var out bytes.Buffer
		err := checkCommand{configFlag: configFlag{path}, Timeout: time.Second, JSON: asJSON}.Run(t.Context(), outside{out: &out})
		if !errors.Is(err, errCheck) {
			t.Errorf("%v", err)
		}
		for _, name := range check.Names()[1:] {
			want := "skip " + name
			if asJSON {
				want = `{"check":"` + name + `","status":"skip","key":"","detail":"not checked because of the fault of config"}`
			}
			if name != "clock" && !strings.Contains(out.String(), want) {
				t.Errorf("%s is missing in\n%s", want, out.String())
			}
		}
		if !asJSON {
			if !strings.Contains(out.String(), "FAIL config     furnac (line 2): unknown key") {
				t.Errorf("%s", out.String())
			}
			continue
		}
		var keys []string
		for text := range strings.Lines(out.String()) {
			var line check.Line
			if err := json.Unmarshal([]byte(text), &line); err != nil {
				t.Fatal(err)
			}
			if line.Status == check.Fail {
				keys = append(keys, line.Key)
			}
		}
		if !strings.Contains(strings.Join(keys, " "), "furnac") || len(keys) < 3 {
			t.Errorf("keys %q", keys)
		}
	}
}
