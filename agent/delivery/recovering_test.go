package delivery

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"meltwatch/agent/outbox"
)

// When the disk can be read, the records in memory follow those on the disk, in order,
// and survive the next restart.
func TestLateDiskGetsTheRecordsFromMemory(t *testing.T) {
	folder := t.TempDir()
	former := onDisk(t, folder)
	former.Return("event", []uint64{former.Append("event", []byte("of the former run"))})
	if err := former.Close(); err != nil {
		t.Fatal(err)
	}
	var disk *outbox.Log
	l := NewRecovering(100, func() (Outbox, error) { disk = onDisk(t, folder); return disk, nil })
	a := l.Append("event", []byte("a"))
	l.Return("event", []uint64{l.Append("event", []byte("b"))})
	l.Sync() // too soon to try again
	if disk != nil {
		t.Fatal("tried again at once")
	}
	l.tried = time.Time{}
	l.Sync()
	c := l.Append("event", []byte("c"))
	if disk == nil || disk.Counters()["waiting_event"] != 1 || l.Counters()["waiting_event"] != 4 {
		t.Fatalf("moved while one was held: %v", l.Counters())
	}
	l.Return("event", []uint64{a, c})
	l.Sync()
	l.Return("event", []uint64{l.Append("event", []byte("d"))})
	if err := disk.Close(); err != nil {
		t.Fatal(err)
	}
	want := []string{"of the former run", "a", "b", "c", "d"}
	if diff := cmp.Diff(want, takeText(onDisk(t, folder), "event", 10)); diff != "" {
		t.Errorf("after a restart (-want +got):\n%s", diff)
	}
}
