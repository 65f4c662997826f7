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

	"meltwatch/commandline"
	"meltwatch/fleet"
	"meltwatch/simulator/broker"
)

// meltctl runs one command line and returns what it prints.
func meltctl(t *testing.T, arguments ...string) (string, error) {
	t.Helper()
	var c commands
	var out bytes.Buffer
	p := program()
	p.Options = append(p.Options, kong.BindTo(t.Context(), (*context.Context)(nil)), kong.BindTo(&out, (*io.Writer)(nil)))
	parser, err := commandline.Parser(p, &c)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := parser.Parse(arguments)
	if err == nil {
		err = parsed.Run()
	}
	return out.String(), err
}

// A connection that fails at the default address tells how to give another; at a given
// address nothing is to be told.
func TestConnectionErrorsNameTheFlagOfTheBroker(t *testing.T) {
	parser, err := commandline.Parser(program(), &commands{})
	if err != nil {
		t.Fatal(err)
	}
	for _, leaf := range parser.Model.Leaves(true) {
		for _, flag := range leaf.Flags {
			if flag.Name == "broker" && flag.Default != fleet.DefaultBroker {
				t.Errorf("%s: the broker's default is %q", leaf.FullPath(), flag.Default)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // no connection is made
	for url, told := range map[string]bool{fleet.DefaultBroker: true, "tcp://127.0.0.1:1": false} {
		err := fleet.Fleet{Broker: fleet.Broker{URL: url}, Out: io.Discard}.PrintConfig(ctx, "all")
		if err == nil || strings.HasSuffix(err.Error(), "(set --broker or MELTCTL_BROKER)") != told {
			t.Errorf("%s: %v, want the flag named: %t", url, err, told)
		}
	}
}

// Who acknowledges or shelves stands in the records, so a name is demanded.
func TestNobodyActsOnAnAlarm(t *testing.T) {
	for _, user := range []string{"", " "} {
		t.Setenv("USER", user)
		for _, line := range []string{"ack p/f1", "ack p/f1 --by=", "shelve p/f1 --reason tapping"} {
			if _, err := meltctl(t, strings.Fields(line)...); err == nil || !strings.Contains(err.Error(), "--by: is missing") {
				t.Errorf("USER %q, %s: %v", user, line, err)
			}
		}
	}
	for line, by := range map[string]string{"ack p/f1": "desk", "ack p/f1 --by Lin": "Lin", "shelve p/f1 --reason tapping --by Lin": "Lin"} {
		t.Setenv("USER", "desk")
		var c commands
		parser, err := commandline.Parser(program(), &c)
		if err != nil {
			t.Fatal(err)
		}
		_, err = parser.Parse(strings.Fields(line))
		got := c.Ack.By
		if strings.HasPrefix(line, "shelve") {
			got = c.Shelve.By
		}
		if err != nil || got != by {
			t.Errorf("%s: %v, by %q, want %q", line, err, got, by)
		}
	}
}

func TestCommandLineReachesTheBroker(t *testing.T) {
	t.Setenv("USER", "desk")
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
		{line: "forget p/f1 --yes --wait 1s", fault: "no agent matches"},
	} {
		output, err := meltctl(t, append(strings.Fields(c.line), "--broker", url)...)
		if !strings.Contains(output, c.output) || (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s: %v\n%s", c.line, err, output)
		}
	}
}
