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
}

func (p *plant) until(what string, ok func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("not within 60 s: %s", what)
		}
	}
}
