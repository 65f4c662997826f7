package agent

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"meltwatch/agent/message"
	"meltwatch/config"
)

// The command finds the running agent by its state folder and makes it read its file
// again. It does not signal another process that has the process id now.
func TestReloadCommand(t *testing.T) {
	built := needPrograms(t)
	p := &plant{t: t, sim: startSim(t), file: filepath.Join(t.TempDir(), "meltwatch.yaml"), lastPayload: map[string][]byte{}}
	text := strings.Replace(document(t, p.sim, p.broker()), "camera: {", "camera: {enabled: false, ", 1)
	writeFile(t, p.file, text, 0o600)
	c, err := config.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	reload := func() (string, error) {
		out, err := exec.Command(filepath.Join(built, "meltwatch"), "reload", "--config", p.file).CombinedOutput()
		return string(out), err
	}
	if out, err := reload(); err == nil || !strings.Contains(out, "no agent runs") {
		t.Errorf("without an agent: %v: %s", err, out)
	}
	writeFile(t, filepath.Join(c.Paths.State, "pid"), fmt.Sprintln(os.Getpid()), 0o600)
	if out, err := reload(); err == nil || !strings.Contains(out, "has ended") {
		t.Errorf("with another process: %v: %s", err, out)
	}
	k := &killed{t: t, plant: p, program: filepath.Join(built, "meltwatch"), local: text}
	began := time.Now()
	k.start()
	defer k.kill()
	var r message.ConfigReport
	k.awaitPayload("config/reported", began, &r, func() time.Time { return r.Time })
	writeFile(t, p.file, strings.TrimSuffix(text, "}")+", state: {mean_seconds: 31}}", 0o600)
	began = time.Now()
	if out, err := reload(); err != nil || !strings.Contains(out, "signalled process") {
		t.Fatalf("%v: %s", err, out)
	}
	p.until("the edit is in force", func() bool {
		k.awaitPayload("config/reported", began, &r, func() time.Time { return r.Time })
		return r.Status == "applied"
	})
	if r.From != "file" {
		t.Errorf("report %+v", r)
	}
	waiting := func(arguments ...string) (string, int) {
		cmd := exec.Command(filepath.Join(built, "meltwatch"), append([]string{"reload", "--config", p.file, "--wait"}, arguments...)...)
		out, err := cmd.CombinedOutput()
		if err != nil && cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return string(out), cmd.ProcessState.ExitCode()
	}
	for _, c := range []struct {
		more, flags, want string
		status            int
	}{
		{", state: {mean_seconds: 32}}", "--timeout 30s", "applied\n", 0},
		{", state: {mean_seconds: 32}}", "--timeout 30s", "applied\n", 0}, // unchanged
		{", state: {mean_seconds: 33}}", "--timeout 30s --json", `"status": "applied"`, 0},
		{", state: {mean_seconds: none}}", "--timeout 30s", "state.mean_seconds", 1},
		{", remote: {deadline: 5s}}", "--timeout 30s", "applied\n", 0},
	} {
		writeFile(t, p.file, strings.TrimSuffix(text, "}")+c.more, 0o600)
		if out, status := waiting(strings.Fields(c.flags)...); status != c.status || !strings.Contains(out, c.want) {
			t.Errorf("%s: exit status %d, want %d: %s", c.more, status, c.status, out)
		}
	}
	writeFile(t, p.file, strings.Replace(text, "furnace: ", "furnace: x", 1), 0o600)
	if out, status := waiting("--timeout", "30s"); status != 3 || !strings.Contains(out, "rejected") || !strings.Contains(out, "furnace: ") {
		t.Errorf("another identity: exit status %d: %s", status, out)
	}
	// A meter that does not answer is rolled back after remote.deadline of the file before.
	broken := strings.Replace(text, p.sim.MeterURL(), "tcp://127.0.0.1:1", 1)
	writeFile(t, p.file, broken, 0o600)
	if out, status := waiting("--timeout", "1s"); status != 4 || !strings.Contains(out, "no result within 1s") {
		t.Errorf("in vain: exit status %d: %s", status, out)
	}
	if out, status := waiting("--timeout", "40s"); status != 3 || !strings.Contains(out, "rolled back") || !strings.Contains(out, "meters") {
		t.Errorf("a meter that does not answer: exit status %d: %s", status, out)
	}
}

func (p *plant) until(what string, ok func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("not within 60 s: %s", what)
		}
	}
}
