package outbox

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"meltwatch/durable"
)

// fills appends records to an outbox until the disk refuses, makes room, and checks
// that all records are there. Errors and partial writes are those of a real file
// system.
func fills(t *testing.T, folder string, want error, makeRoom func()) {
	t.Helper()
	l, w := open(t, durable.Folder(folder), roomy())
	payloads := many(3000, 1000)
	put(l, Event, payloads[:10]...)
	for i := 10; w.fault == nil; i++ {
		if i == len(payloads) {
			t.Fatal("the disk never refused")
		}
		put(l, Event, payloads[i])
	}
	if !errors.Is(w.fault, want) {
		t.Fatalf("fault %v, want %v", w.fault, want)
	}
	appended := int(l.next(Event)) - 1
	put(l, Event, "while it refuses")
	makeRoom()
	time.Sleep(retryEvery + 100*time.Millisecond)
	l.Sync()
	if w.fault != nil {
		t.Fatalf("a fault remains after room was made: %v", w.fault)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l, w = open(t, durable.Folder(folder), roomy())
	got := takeAll(l, Event)
	equal(t, "events", append(short(payloads[:appended]), "while "), short(got))
	if len(w.incidents) > 0 {
		t.Fatalf("incidents %v", w.incidents)
	}
	t.Logf("refused after %d records of 1 kB, all there", appended)
}

// next is the number of the class's next record.
func (l *Log) next(class string) uint64 { return l.queue(class).next }

func TestFullFileSystem(t *testing.T) {
	folder := t.TempDir()
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("tmpfs cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(folder, 0); err != nil {
			t.Error(err)
		}
	})
	ballast := filepath.Join(folder, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 700<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	fills(t, filepath.Join(folder, "outbox"), syscall.ENOSPC, func() {
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
	})
}

// The limit of a file's size applies to a whole process, so the test uses another
// process.
func TestFileSizeLimit(t *testing.T) {
	const variable = "OUTBOX_FILE_LIMIT"
	if os.Getenv(variable) == "" {
		limited := exec.Command(os.Args[0], "-test.run=^TestFileSizeLimit$", "-test.v")
		limited.Env = append(os.Environ(), variable+"=1")
		out, err := limited.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "all there") {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	before := limit
	limit.Cur = 100 << 10
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	fills(t, t.TempDir(), syscall.EFBIG, func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
			t.Fatal(err)
		}
	})
}
