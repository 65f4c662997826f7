package agent

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"meltwatch/simulator/broker"
)

// Settings that release 0.3.0 accepted and check refuses: run starts, and warns in the
// words of check.
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
	program := filepath.Join(needPrograms(t), "meltwatch")
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	run := exec.CommandContext(ctx, program, "run", "--config", file)
	run.Cancel = func() error { return run.Process.Signal(syscall.SIGTERM) }
	said, err := run.CombinedOutput()
	if ctx.Err() == nil {
		t.Fatalf("the agent did not start: %v\n%s", err, said)
	}
	refused, err := exec.Command(program, "check", "--offline", "--config", file).CombinedOutput()
	if err == nil {
		t.Fatalf("check accepts the file: %s", refused)
	}
	for _, key := range []string{"meters.plc.fields.set_point.address", "mqtt.username", "trust.model_keys.desk"} {
		if !strings.Contains(string(refused), key) || !strings.Contains(string(said), key) {
			t.Errorf("%s: run reports\n%s\ncheck reports %v", key, said, refused)
		}
	}
	if server.Info.MessagesReceived == 0 {
		t.Error("nothing was published")
	}
}
