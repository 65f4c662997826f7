package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"meltwatch/agent/outbox"
	"meltwatch/agent/settings"
	"meltwatch/config"
	"meltwatch/durable"
)

// looked runs an outbox command on a folder and returns its output.
func looked(t *testing.T, command interface{ Run(outside) error }) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := command.Run(outside{out: &out, errOut: &out})
	return out.String(), err
}

// noObserver ignores all reports.
type noObserver struct{}

func (noObserver) Beat()       {}
func (noObserver) OK()         {}
func (noObserver) Fault(error) {}

func filledOutbox(t *testing.T) (folder string) {
	t.Helper()
	folder = t.TempDir()
	l, err := outbox.Open(durable.Folder(folder), settings.Outbox(config.Default()), slog.New(slog.DiscardHandler), noObserver{}, nil)
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

func TestOutboxCommandsShowWaitingRecords(t *testing.T) {
	flags := outboxFlags{Folder: filledOutbox(t)}
	encoded, err := looked(t, outboxStat{flags, true})
	if err != nil || !strings.Contains(encoded, `{"class":"event","waiting":1,"records":2,"missing":0,"segments":1,`) || strings.Count(encoded, "\n") != 3 {
		t.Errorf("stat --json: %v\n%s", err, encoded)
	}
	stat, err := looked(t, outboxStat{outboxFlags: flags})
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
