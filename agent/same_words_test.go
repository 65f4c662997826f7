package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"meltwatch/simulator/broker"
)

// What run refuses in a file, check --offline refuses in the same words.
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
		o := outside{ctx: context.Background(), out: &out, errOut: &out}
		run := runCommand{configFlag{file}}.Run(o)
		check := checkCommand{configFlag: configFlag{file}, Offline: true}.Run(o)
		if run == nil || fmt.Sprint(run) != fmt.Sprint(check) || !strings.Contains(run.Error(), key) {
			t.Errorf("%.60s: run says %v, check says %v; want %q", line, run, check, key)
		}
	}
}

// What only check refuses, since release 0.3.0 let it pass, run warns of in check's
// words, and starts.
func TestFileOf030StartsWithAWarning(t *testing.T) {
	long(t)
	server, url, err := broker.Local()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	text := document(t, startSim(t), url)
	for old, new := range map[string]string{
		"set_point: {address: 6}": "set_point: {address: 06}",
		"mqtt: {broker":           "mqtt: {username: " + strings.Repeat("u", 2000) + ", broker",
	} {
		text = strings.Replace(text, old, new, 1)
	}
	text = strings.TrimSuffix(text, "}") + ", trust: {model_keys: {desk: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=}}}"
	file := filepath.Join(t.TempDir(), "meltwatch.yaml")
	writeFile(t, file, text, 0o600)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	var said, checked bytes.Buffer
	if err := (runCommand{configFlag{file}}).Run(outside{ctx: ctx, out: &said, errOut: &said}); err != nil {
		t.Fatalf("the agent did not start: %v\n%s", err, said.String())
	}
	refused := checkCommand{configFlag: configFlag{file}, Offline: true}.Run(outside{ctx: t.Context(), out: &checked, errOut: &checked})
	if refused == nil {
		t.Fatal("check accepts the file")
	}
	for _, key := range []string{"meters.plc.fields.set_point.address", "mqtt.username", "trust.model_keys.desk"} {
		if !strings.Contains(refused.Error(), key) || !strings.Contains(said.String(), key) {
			t.Errorf("%s: run says\n%s\ncheck says %v", key, said.String(), refused)
		}
	}
	if server.Info.MessagesReceived == 0 {
		t.Error("nothing was published")
	}
}
