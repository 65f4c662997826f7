package outbox

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"meltwatch/durable"
)

// workerFolder, when set, makes this test binary a crash worker: it appends events to
// the outbox in that folder and prints them until it is killed.
const workerFolder = "OUTBOX_VICTIM_FOLDER"

func TestCrashWorker(t *testing.T) {
	folder := os.Getenv(workerFolder)
	if folder == "" {
		t.Skip("runs only as the process that TestKillLosesNoEvent kills")
	}
	l, _ := open(t, durable.Folder(folder), roomy())
	round := os.Getenv("OUTBOX_WORKER_ROUND")
	end := time.Now().Add(20 * time.Second) // in case it is not killed
	for i := 0; time.Now().Before(end); i++ {
		payload := fmt.Sprintf("%s-%06d%s", round, i, strings.Repeat("x", i%3*20_000))
		number := l.Append(Event, []byte(payload))
		fmt.Printf("kept %.*s\n", len(round)+7, payload)
		l.Append(Current, []byte(payload))
		if i%3 == 0 {
			l.Ack(Event, []uint64{number})
			fmt.Printf("done %.*s\n", len(round)+7, payload)
		}
		if i%7 == 0 {
			l.Sync()
		}
	}
}

// After a kill at any moment, every event for which Append has returned is there, in
// order, over several processes in one folder.
func TestKillLosesNoEvent(t *testing.T) {
	folder := t.TempDir()
	r := rand.New(rand.NewPCG(5, 6))
	var kept []string
	done := map[string]bool{}
	const kills = 60
	for round := range kills {
		for _, line := range live(t, folder, round, time.Duration(r.IntN(30_000))*time.Microsecond) {
			if name, ok := strings.CutPrefix(line, "kept "); ok {
				kept = append(kept, name)
			} else if name, ok := strings.CutPrefix(line, "done "); ok {
				done[name] = true
			}
		}
	}
	l, w := open(t, durable.Folder(folder), roomy())
	found := map[string]bool{}
	last := ""
	for _, payload := range takeAll(l, Event) {
		name := strings.TrimRight(payload, "x")
		if name <= last {
			t.Fatalf("%s came after %s", name, last)
		}
		last, found[name] = name, true
	}
	for _, name := range kept {
		if !found[name] && !done[name] {
			t.Errorf("event %s is lost", name)
		}
	}
	if len(w.incidents) > 0 {
		t.Errorf("kills counted as damage: %v", w.incidents)
	}
	t.Logf("%d kills, %d events kept, %d acknowledged, %d found", kills, len(kept), len(done), len(found))
	if len(kept) < kills {
		t.Error("the workers were killed before they did anything")
	}
}

// live runs one process for a while after its first output, kills it, and returns its
// complete output lines.
func live(t *testing.T, folder string, round int, life time.Duration) []string {
	t.Helper()
	worker := exec.Command(os.Args[0], "-test.run=^TestCrashWorker$")
	worker.Env = append(os.Environ(), workerFolder+"="+folder, fmt.Sprintf("OUTBOX_WORKER_ROUND=%03d", round))
	worker.Stderr = os.Stderr
	out, err := worker.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := worker.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewReader(out)
	first, err := said.ReadString('\n')
	if err != nil {
		t.Fatal("the worker printed nothing")
	}
	time.AfterFunc(life, func() { _ = worker.Process.Kill() })
	rest, err := io.ReadAll(said)
	if err != nil {
		t.Fatal(err)
	}
	_ = worker.Wait() // the error is the kill
	text := first + string(rest)
	return strings.Split(text[:strings.LastIndexByte(text, '\n')], "\n")
}
