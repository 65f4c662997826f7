package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"meltwatch/simulator/broker"
)

// meltctl runs one command line and returns what it prints.
func meltctl(t *testing.T, arguments ...string) (string, error) {
	t.Helper()
	var c commands
	var out bytes.Buffer
	parser, err := kong.New(&c, kong.BindTo(t.Context(), (*context.Context)(nil)), kong.BindTo(&out, (*io.Writer)(nil)))
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := parser.Parse(arguments)
	if err == nil {
		err = parsed.Run()
	}
	return out.String(), err
}

func TestCommandLineReachesTheBroker(t *testing.T) {
	server, url, err := broker.Local()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	for topic, payload := range map[string]string{
		"availability": "offline", "config/desired": `{"revision": 4, "config": {"state": {"hold_seconds": 21}}}`,
	} {
		if err := server.Publish("meltwatch/p/f1/"+topic, []byte(payload), true, 1); err != nil {
			t.Fatal(err)
		}
	}
	patch := filepath.Join(t.TempDir(), "patch.json")
	if err := os.WriteFile(patch, []byte(`{"state": {"hold_seconds": 30}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		line, output, fault string
	}{
		{line: "list --wait 3s", output: "p/f1"},
		{line: "list other/*", fault: "other/*"},
		{line: "list --json", output: `{"agent":"p/f1","availability":"offline","state":"","held":false,"model":{"name":"","version":""},"version":"","faulty_parts":null,"config":{"status":""`},
		{line: "config get p/f1", output: `"revision": 4`},
		{line: "config diff all " + patch, output: "state.hold_seconds: 21 → 30"},
		{line: "config set all " + patch, output: "p/f1: offline", fault: "offline"},
		{line: "config set all " + patch + " --offline --stages none", fault: "--stages"},
		{line: "config set all " + patch + " --offline --first p/f2", fault: "--first"},
		{line: "config set all " + patch + " --key " + patch, fault: "--key-name"},
		{line: "config set all " + patch + " --revision=-1", fault: "--revision"},
		{line: "config set all " + patch + " --offline", output: "p/f1: done"},
		{line: "config get p/f1", output: `"revision": 5`},
		{line: "config rollback all --offline", output: "p/f1: done"},
		{line: "config get p/f1", output: `"revision": 6`},
		{line: "model reset all --offline", output: "p/f1: done"},
		{line: "ack all", output: "p/f1: offline", fault: "1 of 1 agents: not done"},
		{line: "ack all --timeout 0s", fault: "--timeout"},
		{line: "snapshot p/f1 --json", output: `{"agent":"p/f1","status":"offline"`, fault: "not done"},
		{line: "forget p/f1", fault: "not a terminal"},
		{line: "forget p/f1 --json", fault: "--yes"},
		{line: "forget p/f1 --yes", output: "p/f1: done: meltwatch/p/f1/availability"},
		{line: "forget p/f1 --yes", fault: "no agent matches"},
	} {
		output, err := meltctl(t, append(strings.Fields(c.line), "--broker", url)...)
		if !strings.Contains(output, c.output) || (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s: %v\n%s", c.line, err, output)
		}
	}
}
