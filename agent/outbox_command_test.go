package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"meltwatch/agent/message"
	"meltwatch/agent/outbox"
	"meltwatch/config"
	"meltwatch/durable"
)

// looked runs an outbox command on a folder and returns what it printed.
func looked(t *testing.T, command interface{ Run(outside) error }) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := command.Run(outside{ctx: context.Background(), out: &out, errOut: &out})
	return out.String(), err
}

// noObserver is told nothing that a test asks for.
type noObserver struct{}

func (noObserver) Beat()       {}
func (noObserver) OK()         {}
func (noObserver) Fault(error) {}

func filledOutbox(t *testing.T) (folder string) {
	t.Helper()
	folder = t.TempDir()
	settings := outboxSettings(config.Default().Outbox, 1000)
	l, err := outbox.Open(durable.Folder(folder), settings, slog.New(slog.DiscardHandler), noObserver{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	first := l.Append("event", []byte(`{"kind":"state","to":"abnormal"}`))
	l.Append("event", []byte(`{"kind":"state","to":"normal"}`))
	l.Append("current", []byte("\x00not JSON"))
	l.Ack("event", []uint64{first})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return folder
}

func TestOutboxCommandsShowWhatWaits(t *testing.T) {
	flags := outboxFlags{Folder: filledOutbox(t)}
	stat, err := looked(t, outboxStat{flags})
	if err != nil || !strings.Contains(stat, "event    1        2        0        1") {
		t.Errorf("stat: %v\n%s", err, stat)
	}
	dump, err := looked(t, outboxDump{outboxFlags: flags})
	want := `{"class":"event","number":2,"waiting":true,"payload":{"kind":"state","to":"normal"}}
{"class":"current","number":1,"waiting":true,"payload":"AG5vdCBKU09O"}
`
	if err != nil || dump != want {
		t.Errorf("dump: %v\n%s", err, dump)
	}
	if all, err := looked(t, outboxDump{outboxFlags: flags, Class: "event", All: true}); err != nil || strings.Count(all, "\n") != 2 {
		t.Errorf("dump of all events: %v\n%s", err, all)
	}
	if text, err := looked(t, outboxVerify{flags}); err != nil {
		t.Errorf("verify: %v\n%s", err, text)
	}
}

func TestOutboxVerifyFailsOnDamage(t *testing.T) {
	folder := filledOutbox(t)
	path := filepath.Join(folder, "event", "00000000000000000001.seg")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	hit := bytes.LastIndex(data, []byte("normal"))
	data[hit] ^= 1
	next := append([]byte(nil), data[:8]...)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "event", "00000000000000000003.seg"), next, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := looked(t, outboxVerify{outboxFlags{Folder: folder}}); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("got %v, want the damage", err)
	}
}

// A week without a broker, of a furnace read at 2 Hz, fits into the defaults.
func TestAWeeksOutageFitsIntoTheDefaults(t *testing.T) {
	c := config.Default().Outbox
	const week = 7 * 24 * 3600
	const third = 1. / 3 // as many digits as a number may take
	stamp := message.Stamp{Version: 1, Time: time.Now().Round(0), Boot: 1000, Seq: 2 * week, MonoMS: 1000 * week, KernelBoot: strings.Repeat("0", 36), Clock: "unsynced"}
	amperes := float64(float32(15_000 + third))
	bytes := map[string]int{
		"current": 2 * week * stored(t, message.Sample{Stamp: stamp, A: amperes, B: amperes, C: amperes, SetPoint: 15_000, UncertaintyMS: 0.123}),
		// Each ten seconds, and a change a minute.
		"state": (week/10 + week/60) * stored(t, message.State{
			Stamp: stamp, State: "abnormal", Since: stamp.Time, PAbnormal: third, PMean: third, Source: "model",
			Alignment: new(float64), Evidence: &message.Evidence{X: third, Y: third, Spread: third}, Senses: message.Senses{Current: "ok", Video: "ok"},
			Model: message.ModelName{Name: "product", Version: "1.0.0", SHA256: strings.Repeat("0", 64)}, LatencyMS: 123.456,
		}),
		"event": week / 60 * stored(t, message.Event{Stamp: stamp, Kind: "sense", From: "ok", To: "stale", Subject: "current", Cause: strings.Repeat("x", 100)}),
	}
	total := 0
	for class, most := range map[string]int{"current": c.CurrentMB, "state": c.StateMB, "event": c.EventMB} {
		total += bytes[class]
		if bytes[class] > most*1_000_000 {
			t.Errorf("%s takes %d bytes in a week, allowed %d MB", class, bytes[class], most)
		}
	}
	t.Logf("a week takes %v, %d bytes in all", bytes, total)
	if total > c.TotalMB*1_000_000 {
		t.Errorf("a week takes %d bytes, allowed %d MB", total, c.TotalMB)
	}
	if c.CurrentAge < week*time.Second {
		t.Errorf("current is given up after %s", c.CurrentAge)
	}
}

// stored is how many bytes a record takes on disk.
func stored(t *testing.T, record any) int {
	t.Helper()
	payload, err := json.Marshal(record)
	if err != nil {
		t.Fatal(err)
	}
	const frameHead = 16
	return frameHead + len(payload)
}

func TestSecondAgentDoesNotShareTheOutbox(t *testing.T) {
	disk := durable.Folder(filepath.Join(t.TempDir(), "outbox"))
	lock, err := disk.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := disk.Lock(); err == nil || !strings.Contains(err.Error(), "paths.state") {
		t.Fatalf("got %v, want an error that says what to do", err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	if lock, err = disk.Lock(); err != nil {
		t.Fatal(err)
	}
	lock.Close()
}
