package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// check --offline refuses the files that run refuses, in the same words.
func TestRunAndCheckRefuseInTheSameWords(t *testing.T) {
	const good = `site: plant
furnace: f1
meters: {main: {url: "tcp://127.0.0.1:502", fields: {current_a: {address: 0}, current_b: {address: 2}, current_c: {address: 4}, set_point: {address: 6}}}}
camera: {url: "rtsp://127.0.0.1/x"}
`
	for line, key := range map[string]string{
		`mqtt: {broker: "udp://h:1"}`:                       "mqtt.broker",
		`mqtt: {broker: "tcp://h:1", queue: many}`:          "mqtt.queue",
		`mqtt: {broker: "tcp://h:1", quew: 1000}`:           "mqtt.quew",
		"mqtt: {broker: \"tcp://h:1\", username: \"\xff\"}": "UTF-8",
		`mqtt: {broker: "tcp://h:1", username: "\uD800"}`:   "Unicode",
		`mqtt: {broker: "tcp://user:secret@h:1"}`:           "mqtt.broker",
	} {
		file := filepath.Join(t.TempDir(), "meltwatch.yaml")
		if err := os.WriteFile(file, []byte(good+line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		o := outside{out: &out, errOut: &out}
		run := runCommand{configFlag: configFlag{file}}.Run(t.Context(), o)
		check := checkCommand{configFlag: configFlag{file}, Offline: true, Timeout: time.Second}.Run(t.Context(), o)
		_, faults, _ := strings.Cut(fmt.Sprint(run), "\n")
		if run == nil || !errors.Is(check, errCheck) || faults == "" || !strings.Contains(run.Error(), key) {
			t.Errorf("%.60s: run reports %v, check reports %v; want %q", line, run, check, key)
		}
		for fault := range strings.Lines(faults) {
			if fault = strings.TrimSpace(fault); !strings.Contains(out.String(), fault) {
				t.Errorf("%.60s: run says %s, check says\n%s", line, fault, out.String())
			}
		}
	}
}

func TestRunRefusesABadConfigurationWithItsKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(path, []byte("site: plant/1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := runCommand{configFlag: configFlag{path}}.Run(t.Context(), outside{errOut: os.Stderr})
	if err == nil || !strings.Contains(err.Error(), "site (line 1)") || !strings.Contains(err.Error(), "meters: is missing") {
		t.Fatalf("got %v", err)
	}
}
