package config

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

func TestPatchLiesOverTheLocalFile(t *testing.T) {
	local := read(t, "testdata/good.yaml")
	before, err := Parse(local)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Merged(local, []byte(`{"meters": {"main": {"period": "700ms", "fields": {"set_point": {"address": 40}}}}, "state": {"mean_seconds": 30}}`))
	if err != nil {
		t.Fatal(err)
	}
	main := c.Meters["main"]
	if main.Period != 700*time.Millisecond || main.URL != before.Meters["main"].URL || main.Fields[FieldSetPoint].Address != 40 || c.State.MeanSeconds != 30 {
		t.Errorf("merged %+v, state %+v", main, c.State)
	}
	if Digest(c) == Digest(before) {
		t.Error("two configurations have one digest")
	}
	for _, nothing := range []string{"", " ", "{}"} {
		if same, err := Merged(local, []byte(nothing)); err != nil || Digest(same) != Digest(before) {
			t.Errorf("patch %q: %v, or another digest than the local file's", nothing, err)
		}
	}
}

// The examples of RFC 7396, appendix A, whose targets are objects.
func TestMergeIsRFC7396(t *testing.T) {
	for _, c := range [][3]string{
		{`{"a":"b"}`, `{"a":"c"}`, `{a: c}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{a: b, b: c}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{b: c}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{a: c}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{a: [b]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{a: {b: d}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":["1"]}`, `{a: ["1"]}`},
		{`{"e":null}`, `{"a":"1"}`, `{e: null, a: "1"}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{a: {bb: {}}}`},
	} {
		target, err := parseYAML([]byte(c[0]))
		if err != nil {
			t.Fatal(err)
		}
		patch, err := parseJSON([]byte(c[1]))
		if err != nil {
			t.Fatal(err)
		}
		var have, want any
		if err := errors.Join(merge(target, patch).Decode(&have), yaml.Unmarshal([]byte(c[2]), &want)); err != nil {
			t.Fatal(err)
		}
		a, _ := yaml.Marshal(have)
		b, _ := yaml.Marshal(want)
		if string(a) != string(b) {
			t.Errorf("%s over %s: %s, want %s", c[1], c[0], a, b)
		}
	}
}

func TestNullBringsTheDefaultBack(t *testing.T) {
	local := append(read(t, "testdata/good.yaml"), "state: {mean_seconds: 12}\n"...)
	c, err := Merged(local, []byte(`{"state": null}`))
	if err != nil || c.State != (State{}) {
		t.Errorf("state %+v, %v", c.State, err)
	}
}

func TestLocalSettingsAreRefusedRemotely(t *testing.T) {
	local := read(t, "testdata/good.yaml")
	for patch, key := range map[string]string{
		`{"site": "b"}`:                            "site",
		`{"furnace": null}`:                        "furnace",
		`{"trust": {"config_keys": {"me": "x"}}}`:  "trust",
		`{"remote": {"signed_config": false}}`:     "remote",
		`{"commands": {"restart": true}}`:          "commands",
		`{"paths": {"state": "/tmp"}}`:             "paths",
		`{"model": {"path": "/tmp"}}`:              "model.path",
		`{"mqtt": {"client_id": "another"}}`:       "mqtt.client_id",
		`{"mqtt": {"ca_file": "/tmp/ca"}}`:         "mqtt.ca_file",
		`{"camera": {"ca_file": "/tmp/ca"}}`:       "camera.ca_file",
		`{"log": {"format": "json"}}`:              "log.format",
		`{"camera": {"password_file": "/etc/x"}}`:  "camera.password_file",
		`{"mqtt": {"password_file": "../secret"}}`: "mqtt.password_file",
	} {
		_, err := Merged(local, []byte(patch))
		var problems Problems
		if !errors.As(err, &problems) || !slices.ContainsFunc(problems, func(p Problem) bool { return p.Key == key }) {
			t.Errorf("%s: %v, want a problem of %s", patch, err, key)
		}
	}
}

func TestDeepAndDoubledPatchesAreRefused(t *testing.T) {
	local := read(t, "testdata/good.yaml")
	for patch, want := range map[string]string{
		strings.Repeat(`{"a":`, 20_000) + "1" + strings.Repeat("}", 20_000): "nested deeper",
		strings.Repeat(`[`, 100_000):                                        "nested deeper",
		`{"state": {"enter": 0.5, "enter": 0.6}}`:                           "state.enter: given twice",
		`{"state": {}} {}`:                                                  "more follows",
		`[]`:                                                                "want a JSON object",
		`"a"`:                                                               "want a JSON object",
		`{"state": `:                                                        "not JSON",
		`{"log": {"level": "` + strings.Repeat("x", maxSize) + `"}}`: "over 256 KiB",
	} {
		if _, err := Merged(local, []byte(patch)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s…: %v, want %s", patch, err, want)
		}
	}
}

// FuzzMerged: no patch may panic or hang, what is accepted is complete, and what
// the box alone may set stays as the file has it.
func FuzzMerged(f *testing.F) {
	local := read(f, "testdata/good.yaml")
	for _, seed := range []string{`{}`, `{"meters":{"main":null}}`, `{"state":{"enter":0.5}}`, `{"trust":null}`, `{"a":[1,{"b":"\ud83d"}]}`, `[[[`} {
		f.Add([]byte(seed))
	}
	before, err := Parse(local)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, patch []byte) {
		c, err := Merged(local, patch)
		if err != nil {
			return
		}
		if c.Site != before.Site || c.Paths != before.Paths || c.Remote != before.Remote || c.Commands != before.Commands ||
			len(c.Trust.ConfigKeys)+len(c.Trust.ModelKeys) > 0 || c.Model.Path != before.Model.Path {
			t.Errorf("%q changed what the box alone may set", patch)
		}
		if len(c.Meters) == 0 || c.MQTT.Addresses()[0].URL == "" {
			t.Errorf("%q was accepted though it leaves no meter or no broker", patch)
		}
	})
}
