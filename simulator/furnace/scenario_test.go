package furnace

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

func TestScenarioFaultsAreNamedByKey(t *testing.T) {
	for _, c := range []struct{ fact, text, want string }{
		{"no segment", "name: x", "segments: empty"},
		{"unknown state", "segments: [{state: boiling, seconds: 5}]", `segments[0].state: "boiling"`},
		{"no length", "segments: [{state: normal}]", "segments[0].seconds: 0"},
		{"length is not a number", "segments: [{state: normal, seconds: .nan}]", "segments[0].seconds: NaN"},
		{"unknown kind", "segments: [{state: ramp, seconds: 5, current: odd}]", "segments[0].current"},
		{"unknown cause", "segments: [{state: normal, seconds: 5}]\nnuisances: [{cause: rain, at: 1, seconds: 1}]", "nuisances[0].cause"},
		{"event without length", "segments: [{state: normal, seconds: 5}]\nnuisances: [{cause: mist, at: 1}]", "nuisances[0]: at 1"},
		{"too strong", "segments: [{state: normal, seconds: 5}]\nnuisances: [{cause: mist, at: 1, seconds: 1, strength: 2}]", "nuisances[0].strength"},
		{"unknown key", "segmants: []", "segmants"},
		{"unknown key in a list", "segments: [{state: normal, secs: 5}]", "secs"},
		{"empty file", "", "segments: empty"},
	} {
		path := filepath.Join(t.TempDir(), "s.yaml")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadScenario(path); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v does not name %q", c.fact, err, c.want)
		}
	}
}

func TestTheDemoSurvivesItsFile(t *testing.T) {
	text, err := yaml.Marshal(Demo())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "demo.yaml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := ReadScenario(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Demo(), got); diff != "" {
		t.Error(diff)
	}
}

func FuzzReadScenario(f *testing.F) {
	f.Add("segments: [{state: ramp, seconds: 30}, {state: abnormal, seconds: 9}]\nnuisances: [{cause: mist, at: 1, seconds: 3}]")
	f.Add("segments: [{state: recovery, seconds: 1e6}]")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseScenario([]byte(text))
		if err != nil {
			return
		}
		New(s, NewBatch(1, 1), 1, 1).AdvanceTo(min(s.Seconds(), 20))
	})
}
