package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"meltwatch/config/strict/stricttest"
)

// tree is a random document or patch; null only in a patch.
func tree(random *rand.Rand, depth int, nulls bool) any {
	if depth == 0 || random.IntN(4) == 0 {
		if nulls && random.IntN(2) == 0 {
			return nil
		}
		return fmt.Sprint(random.IntN(3))
	}
	return object(random, depth, nulls)
}

func object(random *rand.Rand, depth int, nulls bool) map[string]any {
	all := map[string]any{}
	for _, name := range []string{"a", "b", "c"} {
		if random.IntN(2) == 0 {
			all[name] = tree(random, depth-1, nulls)
		}
	}
	return all
}

// A composed patch has the effect of both, whatever the first removed or replaced.
func TestComposedPatchHasTheEffectOfBoth(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	text := func(v any) []byte {
		out, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for range 5000 {
		local, patch, change := text(object(random, 3, false)), text(object(random, 3, true)), text(object(random, 3, true))
		composed, err := Composed(local, patch, change)
		if err != nil {
			t.Fatal(err)
		}
		apply := func(target *yaml.Node, patch []byte) *yaml.Node {
			node, err := parseJSON(patch)
			if err != nil {
				t.Fatal(err)
			}
			return merge(target, node)
		}
		root, err := parseYAML(local)
		if err != nil {
			t.Fatal(err)
		}
		var have, want any
		if err := errors.Join(apply(root, composed).Decode(&have), apply(apply(root, patch), change).Decode(&want)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, have); diff != "" {
			t.Fatalf("%s + %s + %s, composed %s: %s", local, patch, change, composed, diff)
		}
	}
}

func TestFragmentIsAPatch(t *testing.T) {
	for text, want := range map[string]string{
		"camera:\n  crop: {x: 8, y: 0, width: 512, height: 512}\n":   `{"camera":{"crop":{"x":8,"y":0,"width":512,"height":512}}}`,
		`{"state": {"mean_seconds": 30, "enter": 0.95}}`:             `{"state":{"mean_seconds":30,"enter":0.95}}`,
		"camera: {crop: ~, enabled: true, username: '<&>'}":          `{"camera":{"crop":null,"enabled":true,"username":"<&>"}}`,
		"meters: {main: {unit: 0x1F, period: 500ms, read_gap: 010}}": `{"meters":{"main":{"unit":"0x1F","period":"500ms","read_gap":"010"}}}`,
		"state: {enter: .nan}":                                       `{"state":{"enter":".nan"}}`,
		"a: {b: [1, x]}":                                             `{"a":{"b":[1,"x"]}}`,
		"{}":                                                         `{}`,
	} {
		patch, err := Fragment([]byte(text))
		if err != nil || string(patch) != want {
			t.Errorf("%s: %s, %v; want %s", text, patch, err, want)
		}
	}
	deep := strings.Repeat("{a: ", 40) + "1" + strings.Repeat("}", 40)
	for _, text := range []string{"", "words", "[1]", "a: 1\n---\nb: 2", "a: &x 1\nb: *x", "a: [", "\xff", deep, strings.Repeat("#", maxSize+1), `{"a": 1, "a": 2}`, "null"} {
		if patch, err := Fragment([]byte(text)); err == nil || err.Error() == "" {
			t.Errorf("%.40q is the patch %.80s", text, patch)
		}
	}
	// A member that is given twice in YAML is refused with the patch.
	patch, err := Fragment([]byte("state: {enter: 0.9}\nstate: {exit: 0.5}"))
	if err == nil {
		_, err = Merged(read(t, "testdata/good.yaml"), patch)
	}
	if err == nil || !strings.Contains(err.Error(), "state") {
		t.Errorf("a section given twice: %v", err)
	}
}

func TestDifferencesNameEachSetting(t *testing.T) {
	local := read(t, "testdata/good.yaml")
	before, err := Parse(local)
	if err != nil {
		t.Fatal(err)
	}
	after, err := Merged(local, []byte(`{"camera": {"timeout": "7s"}, "meters": {"main": {"period": "700ms"}}, "mqtt": {"username": "desk"}}`))
	if err != nil {
		t.Fatal(err)
	}
	differences, err := Differences(before, after)
	want := []Difference{{"camera.timeout", before.Camera.Timeout.String(), "7s"},
		{"meters.main.period", before.Meters["main"].Period.String(), "700ms"}, {"mqtt.username", `""`, "desk"}}
	if before.MQTT.Username != "" {
		want[2].Before = before.MQTT.Username
	}
	if diff := cmp.Diff(want, differences); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	if same, err := Differences(before, before); err != nil || len(same) != 0 {
		t.Errorf("nothing differs, and %v, %v", same, err)
	}
}

// The worst texts and patches are answered at once.
func TestWorstFragmentsAreAnsweredAtOnce(t *testing.T) {
	local := read(t, "testdata/good.yaml")
	stricttest.CheckBounded(t, func(document []byte) {
		patch, err := Fragment(document)
		var problems Problems
		if err == nil {
			_, err = Composed(local, patch, patch)
		}
		if err != nil && (!errors.As(err, &problems) || len(err.Error()) > 64<<10) {
			t.Errorf("%d bytes of errors", len(err.Error()))
		}
	})
	for _, text := range []string{strings.Repeat("a: {", 20_000), strings.Repeat("- ", 100_000), strings.Repeat("? ", 100_000), strings.Repeat("[", 200_000), strings.Repeat("&a ", 50_000), strings.Repeat("!!map ", 40_000), strings.Repeat("a: b\n", 40_000), "a: " + strings.Repeat("\"", 200_000)} {
		began := time.Now()
		if patch, err := Fragment([]byte(text)); err == nil {
			if _, err = Composed(local, nil, patch); err == nil {
				t.Errorf("%.20q is a patch", text)
			}
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%.20q took %s", text, took)
		}
	}
}

func TestDelayOfTheCameraIsBounded(t *testing.T) {
	for delay, valid := range map[string]bool{"0s": true, "5s": true, "-5s": true, "1500ms": true, "5001ms": false, "-5.1s": false, "1h": false, "soon": false, "2": false} {
		_, err := Parse(camera(`url: "rtsp://camera/", delay: ` + delay))
		if valid != (err == nil) || err != nil && !strings.HasPrefix(err.Error(), "camera.delay") {
			t.Errorf("%s: %v", delay, err)
		}
	}
}

// FuzzFragment checks that no text panics, and that a fragment is a valid patch or an
// error of the configuration.
func FuzzFragment(f *testing.F) {
	for _, text := range []string{"camera: {crop: {x: 1}}", `{"a": null}`, "a: &b [*b]", "? x", "a:\n\t- 1", "!!binary aGk=: 1"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		patch, err := Fragment(text)
		if err == nil && !json.Valid(patch) {
			t.Errorf("%q is no JSON: %q", text, patch)
		}
		if err == nil {
			_, err = Composed(nil, patch, patch)
			var problems Problems
			if err != nil && !errors.As(err, &problems) {
				t.Errorf("%q: %v", text, err)
			}
		}
	})
}
