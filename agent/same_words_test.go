package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What run refuses in a file, check --offline refuses in the same words.
func TestRunAndCheckRefuseInTheSameWords(t *testing.T) {
	const good = `site: plant
furnace: f1
meters: {main: {url: "tcp://127.0.0.1:502", fields: {current_a: {address: 0}, current_b: {address: 2}, current_c: {address: 4}, set_point: {address: 6}}}}
camera: {url: "rtsp://127.0.0.1/x"}
`
	for line, key := range map[string]string{
		`mqtt: {broker: "tcp://h:0"}`:                                              "mqtt.broker",
		`mqtt: {broker: "tcp://h:99999"}`:                                          "mqtt.broker",
		`mqtt: {broker: "ssl://h"}`:                                                "mqtt.broker",
		`mqtt: {broker: "tcp://h:1", queue: 01000}`:                                "mqtt.queue",
		`mqtt: {broker: "tcp://h:1", username: ` + strings.Repeat("u", 2000) + `}`: "mqtt.username",
		"mqtt: {broker: \"tcp://h:1\", username: \"\xff\"}":                        "UTF-8",
		`mqtt: {broker: "tcp://h:1", username: "\uD800"}`:                          "Unicode",
		`mqtt: {broker: "tcp://h:1", username: "a\0b"}`:                            "mqtt.username",
		"mqtt: {broker: \"tcp://h:1\"}\ntrust: {config_keys: {desk: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=}}": "trust.config_keys.desk",
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
