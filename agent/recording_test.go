package agent

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"meltwatch/agent/settings"
	"meltwatch/drivers"
	"meltwatch/durable"
)

// hangingFiles is a folder whose disk hangs until it is closed.
type hangingFiles struct {
	durable.Files
	hang chan struct{}
}

func (f hangingFiles) Create(name string) (durable.File, error) {
	<-f.hang
	return f.Files.Create(name)
}

// A change of the recorder's section while its disk hangs ends in time and says so; the new
// recorder records once the disk answers.
func TestRecorderIsChangedWhileItsDiskHangs(t *testing.T) {
	long(t)
	c := settingsOf(t, startSim(t), "tcp://127.0.0.1:1")
	c.Recorder.Enabled = true
	log, hang := &collectedLog{}, make(chan struct{})
	env := hostEnv(t, slog.NewTextHandler(log, nil))
	files := env.Files
	env.Files = func(folder string) durable.Files {
		if folder == settings.RecordingsFolder(c) {
			return hangingFiles{files(folder), hang}
		}
		return files(folder)
	}
	a, err := NewFixed(c, env)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range a.parts {
		if p.name == "recorder" {
			a.start(p.name, p.now)
		}
	}
	defer a.running.Stop()
	ended := make(chan struct{})
	defer func() { <-ended }()
	go func() {
		defer close(ended)
		for range 400 {
			a.recorder.Load().Sample(drivers.Sample{Time: time.Now(), Current: [3]float64{1, 2, 3}})
			time.Sleep(50 * time.Millisecond)
		}
	}()
	time.Sleep(5 * time.Second) // the disk has been asked
	for hours := range 2 {
		wanted := c
		wanted.Recorder.Age += time.Duration(hours+1) * time.Hour
		began := time.Now()
		if _, faults := a.Begin(wanted); len(faults) > 0 {
			t.Fatal(faults)
		}
		if took := time.Since(began); took > 8*time.Second {
			t.Errorf("the change took %s", took)
		}
		time.Sleep(100 * time.Millisecond)
		if s := a.registry.Snapshot()["recorder"]; s.Status != "fault" || !strings.Contains(s.Error, "paths.recordings: the disk does not answer") {
			t.Errorf("health %+v", s)
		}
	}
	if !log.holds("recorder ended without its disk") {
		t.Error("the log does not say so")
	}
	close(hang)
	for began := time.Now(); a.registry.Snapshot()["recorder"].Status != "ok"; time.Sleep(50 * time.Millisecond) {
		if time.Since(began) > 15*time.Second {
			t.Fatalf("after the disk answers: %+v", a.registry.Snapshot()["recorder"])
		}
	}
}
