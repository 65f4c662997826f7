package fleet

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode"

	"meltwatch/simulator/broker"
)

// What the broker holds reaches the terminal as text: no escape sequence of a forged
// payload or topic is ever printed.
func TestNothingFromTheBrokerMovesTheCursor(t *testing.T) {
	server, url, err := broker.Local()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	retain := func(topic, payload string) {
		if err := server.Publish(topic, []byte(payload), true, 1); err != nil {
			t.Fatal(err)
		}
	}
	const evil = "\x1b[2J\x1b]0;title\x07\u009b31m\r\n\tspoofed"
	for topic, payload := range map[string]string{
		"availability":    "on\x1b[31mline",
		"state":           `{"state": "\u001b[2Jnormal", "model": {"name": "\u001b]0;x\u0007", "version": "1\t2\n3"}}`,
		"health":          `{"agent": "1\u001b[1m", "instance": "a", "parts": {"\u001b[5mcamera": {"status": "fault"}}}`,
		"config/reported": `{"revision": 3, "status": "rejected\u001b[7m", "running_revision": 2, "errors": [{"key": "a\u001b[0m", "message": "b\r\n\u009b31m"}]}`,
		"model/reported":  `{"revision": 3, "status": "rolled_back", "running_revision": 2, "errors": [{"key": "", "message": "\u001b[2J"}]}`,
	} {
		retain("meltwatch/test/f1/"+topic, payload)
	}
	retain("meltwatch/te\x1b[2Jst/f2/state", `{"state": "normal"}`)
	retain("meltwatch/test/"+strings.Repeat("x", 300)+"/state", `{"state": "normal"}`)
	c, err := Broker{URL: url, Wait: 3 * time.Second}.connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if _, err := c.gather(t.Context(), 5*time.Second); err != nil {
		t.Fatal(err)
	}
	agents, err := c.choose("all")
	if err != nil || len(agents) != 1 || agents[0] != "test/f1" {
		t.Fatalf("%v, %v: names that no agent can have", agents, err)
	}
	var out bytes.Buffer
	if err := c.table(&out, agents); err != nil {
		t.Fatal(err)
	}
	printLine(&out, "%s  %s", "test/f1", evil)
	for i, line := range strings.Split(out.String(), "\n") {
		if at := strings.IndexFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }); at >= 0 {
			t.Errorf("line %d holds a byte that is not text: %q", i+1, line)
		}
	}
	if lines := strings.Count(out.String(), "\n"); lines != 3 {
		t.Errorf("%d lines, want the head, the agent and what was said:\n%s", lines, out.String())
	}
}
