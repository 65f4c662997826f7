package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/procfs"
	"go.yaml.in/yaml/v3"

	"meltwatch/agent/message"
	"meltwatch/agent/settings"
	"meltwatch/config"
	"meltwatch/simulator/broker/mosquittotest"
	"meltwatch/simulator/serve"
)

// startProgram starts the built agent as a process.
func startProgram(t *testing.T, c config.Config) *exec.Cmd {
	t.Helper()
	text, err := yaml.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "meltwatch.yaml")
	writeFile(t, path, string(text), 0o600)
	cmd := exec.Command(filepath.Join(needPrograms(t), "meltwatch"), "run", "--config", path)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("agent: %v\n%s", err, stderr.String())
		}
	})
	return cmd
}

func startSim(t *testing.T) *serve.Server {
	t.Helper()
	sim, err := serve.Start(context.Background(), serve.Options{Scenario: working(), Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sim.Close(); err != nil {
			t.Error(err)
		}
	})
	return sim
}

// The broker that most plants run, set up as in docs/mosquitto.md, read by its
// command-line subscriber.
func TestMosquittoWithPassword(t *testing.T) {
	mosquittotest.Program(t)
	needPrograms(t)
	// Not t.TempDir: mosquitto changes to its own user, who needs access.
	folder, err := os.MkdirTemp("", "meltwatch-mosquitto-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(folder); err != nil {
			t.Error(err)
		}
	})
	passwords, password := filepath.Join(folder, "passwd"), filepath.Join(folder, "password")
	if out, err := exec.Command("mosquitto_passwd", "-b", "-c", passwords, "furnace-1", "melt").CombinedOutput(); err != nil {
		t.Skipf("mosquitto_passwd: %v: %s", err, out)
	}
	port := freePort(t)
	conf := filepath.Join(folder, "mosquitto.conf")
	writeFile(t, conf, documentedConfig(t, port, passwords), 0o600)
	writeFile(t, password, "melt\n", 0o600)
	for path, mode := range map[string]os.FileMode{folder: 0o777, passwords: 0o644, conf: 0o644} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	mosquittotest.Run(t, conf)

	c := settingsOf(t, startSim(t), fmt.Sprintf("tcp://127.0.0.1:%d", port))
	c.MQTT.Username, c.MQTT.PasswordFile = "furnace-1", password
	startProgram(t, c)
	var state message.State
	for deadline := time.Now().Add(60 * time.Second); state.State == ""; {
		out, err := exec.Command("mosquitto_sub", "-h", "127.0.0.1", "-p", strconv.Itoa(port), "-u", "furnace-1", "-P", "melt",
			"-t", "meltwatch/test/f1/state", "-C", "1", "-W", "5").Output()
		if err == nil {
			if err := json.Unmarshal(out, &state); err != nil {
				t.Fatalf("%v in %s", err, out)
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("no state through mosquitto: %v", err)
		}
	}
	if state.Version != 1 || state.Boot != 1 || state.Seq == 0 {
		t.Fatalf("state %+v", state)
	}
	// Without the password access is denied.
	if out, err := exec.Command("mosquitto_sub", "-h", "127.0.0.1", "-p", strconv.Itoa(port), "-t", "#", "-C", "1", "-W", "5").CombinedOutput(); err == nil {
		t.Fatalf("read without a password: %s", out)
	}
}

// documentedConfig returns the configuration in docs/mosquitto.md, with this test's
// port and file.
func documentedConfig(t *testing.T, port int, passwords string) string {
	t.Helper()
	page, err := os.ReadFile("../docs/mosquitto.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(page), "```\nlistener 1883\n")
	body, _, found := strings.Cut(after, "```")
	if !found {
		t.Fatal("docs/mosquitto.md shows no configuration that begins with listener 1883")
	}
	body = strings.Replace(body, "/etc/mosquitto/meltwatch.passwd", passwords, 1)
	return fmt.Sprintf("listener %d 127.0.0.1\n%spersistence_location %s/\n", port, body, filepath.Dir(passwords))
}

// The agent must be small enough for a small box.
func TestAgentStaysSmall(t *testing.T) {
	long(t)
	t.Parallel()
	const limit = 40 << 10 // KiB
	sim := startSim(t)
	cmd := startProgram(t, settingsOf(t, sim, "tcp://127.0.0.1:1")) // without a broker records accumulate
	time.Sleep(30 * time.Second)
	process, err := procfs.NewProc(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	status, err := process.NewStatus()
	if err != nil {
		t.Fatal(err)
	}
	kib := status.VmRSS >> 10
	t.Logf("resident: %d KiB", kib)
	if kib > limit {
		t.Errorf("the agent takes %d KiB, want %d at most", kib, limit)
	}
}

func TestOnceAndCheck(t *testing.T) {
	long(t)
	t.Parallel()
	sim := startSim(t)
	c := settingsOf(t, sim, "tcp://127.0.0.1:1")
	text, err := yaml.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "meltwatch.yaml")
	writeFile(t, path, string(text), 0o600)
	program := filepath.Join(needPrograms(t), "meltwatch")

	out, err := exec.Command(program, "once", "--config", path, "--wait", "12s").Output()
	if err != nil {
		t.Fatalf("once: %v: %s", err, out)
	}
	var state message.State
	if err := json.Unmarshal(out, &state); err != nil || state.Senses != (message.Senses{Current: "ok", Video: "ok"}) {
		t.Errorf("once printed %s (%v)", out, err)
	}

	out, err = exec.Command(program, "check", "--config", path).Output()
	if err == nil {
		t.Error("check found no fault of an unreachable broker")
	}
	for _, want := range []string{"ok   config", "ok   manifest", "ok   meters", "ok   model", "ok   camera", "FAIL broker"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("check lacks %q:\n%s", want, out)
		}
	}
}

// A full or broken disk must not prevent the agent's start.
func TestAgentStartsWithoutItsStateFolder(t *testing.T) {
	c := settingsOf(t, startSim(t), "tcp://127.0.0.1:1")
	inTheWay := filepath.Join(t.TempDir(), "file")
	writeFile(t, inTheWay, "", 0o600)
	c.Paths.State = filepath.Join(inTheWay, "state")
	a, err := NewFixed(c, hostEnv(t, slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	verdict, err := a.Once(t.Context(), 10*time.Second)
	if err != nil || verdict.Senses.Current != "ok" {
		t.Fatalf("verdict %+v, %v", verdict, err)
	}
	if storage := a.registry.Snapshot()["storage"]; storage.Status != "fault" || !strings.Contains(storage.Error, "paths.state") {
		t.Errorf("health of the state folder: %+v", storage)
	}
	if mqtt, there := a.registry.Snapshot()["mqtt"]; there {
		t.Errorf("once waits for a part that it does not run: %+v", mqtt)
	}
}

// A look at the furnace leaves what the agent beside it has saved as it is: its alarm, its
// state, its recording.
func TestLookingChangesNothing(t *testing.T) {
	c := settingsOf(t, startSim(t), "tcp://127.0.0.1:1")
	saved := map[string]string{"alarm.json": `{"id": "7-1", "phase": "acknowledged"}`, "state.json": `{"state": "off"}`, "boot": "41\n"}
	for name, text := range saved {
		writeFile(t, filepath.Join(c.Paths.State, name), text, 0o600)
	}
	a, err := NewFixed(c, hostEnv(t, slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	seen, err := a.Once(t.Context(), 6*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if seen.Boot != 42 {
		t.Errorf("boot %d, want the one after the last", seen.Boot)
	}
	for name, text := range saved {
		if have, err := os.ReadFile(filepath.Join(c.Paths.State, name)); err != nil || string(have) != text {
			t.Errorf("%s: %s, %v", name, have, err)
		}
	}
	if _, err := os.Stat(settings.RecordingsFolder(c)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it recorded: %v", err)
	}
}

// What is recorded beside a running agent leaves its state folder as it is.
func TestRecordingBesideAnAgentChangesNothing(t *testing.T) {
	c := settingsOf(t, startSim(t), "tcp://127.0.0.1:1")
	recordings := t.TempDir()
	c.Recorder.Enabled, c.Paths.Recordings, c.Outbox.Enabled = true, recordings, false
	writeFile(t, filepath.Join(c.Paths.State, "boot"), "41\n", 0o600)
	for range 2 {
		a, err := NewFixed(c, hostEnv(t, slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 6*time.Second)
		defer cancel()
		if err := a.Record(ctx); err != nil {
			t.Fatal(err)
		}
	}
	all, err := os.ReadDir(c.Paths.State)
	if err != nil || len(all) != 1 {
		t.Errorf("the state folder holds %v, %v", all, err)
	}
	if boot, err := os.ReadFile(filepath.Join(c.Paths.State, "boot")); err != nil || string(boot) != "41\n" {
		t.Errorf("boot %q, %v", boot, err)
	}
	// What cannot be recorded is an error, not an empty folder.
	c.Paths.Recordings = filepath.Join(c.Paths.State, "boot")
	a, err := NewFixed(c, hostEnv(t, slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := a.Record(ctx); err == nil || !strings.Contains(err.Error(), "nothing was written") {
		t.Errorf("into a file: %v", err)
	}
	c.Paths.Recordings = recordings
	if recorded, err := os.ReadDir(c.Paths.Recordings); err != nil || len(recorded) < 2 {
		t.Errorf("recorded %v, %v", recorded, err)
	}
}
