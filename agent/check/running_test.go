package check

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"meltwatch/durable"
	"meltwatch/simulator/broker"
)

// A check beside a running agent names it, leaves its lock, its connection and its files
// alone, and retains nothing at the broker.
func TestRunningAgentIsNotDisturbed(t *testing.T) {
	p := newPlant(t)
	b := p.sound(t)
	outbox := durable.Folder(filepath.Join(b.folder, "outbox"))
	lock, err := outbox.Lock()
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	write(t, filepath.Join(b.folder, "pid"), "4711\n")
	var mu sync.Mutex
	topics := map[string]int{}
	agent, err := broker.Subscribe(p.broker, "meltwatch-plant-1-f07", "#", func(topic string, _ []byte) {
		mu.Lock()
		defer mu.Unlock()
		topics[topic]++
	})
	if err != nil {
		t.Fatal(err)
	}
	defer agent.Disconnect(0)
	before := filesIn(t, b.folder)
	lines, ok := b.check(t, "storage", "broker")
	if !ok || len(lines) != 2 || !strings.Contains(lines[0].Detail, "in use by the running agent, process 4711") {
		t.Errorf("%v: %+v", ok, lines)
	}
	if diff := cmp.Diff(before, filesIn(t, b.folder)); diff != "" {
		t.Error(diff)
	}
	if other, err := outbox.Lock(); err == nil {
		t.Error("the lock was taken", other.Close())
	}
	mu.Lock()
	defer mu.Unlock()
	if diff := cmp.Diff(map[string]int{"meltwatch/plant-1/f07/health": 1}, topics); diff != "" || !agent.IsConnectionOpen() {
		t.Errorf("connected %v, received %s", agent.IsConnectionOpen(), diff)
	}
	late, err := broker.Subscribe(p.broker, "late", "#", func(topic string, _ []byte) { t.Errorf("%s is retained", topic) })
	if err != nil {
		t.Fatal(err)
	}
	late.Disconnect(100)
}

func filesIn(t *testing.T, folder string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, _ os.DirEntry, err error) error {
		found = append(found, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// A fault of what a selected check depends on is printed, and what it prevents skipped.
func TestOnlySelectedChecks(t *testing.T) {
	p := newPlant(t)
	for _, c := range []struct {
		name, only, want string
		breaks           func(*box)
	}{
		{"all right", "meters broker", "broker ok, meters ok", func(*box) {}},
		{"not selected", "broker", "broker ok", func(b *box) { b.meter = quoted("tcp://" + unusedAddress(t)) }},
		{"invalid file", "meters", "config fail, meters skip", func(b *box) { b.state = "enter: 9" }},
		{"model missing", "camera", "manifest fail, camera skip", func(b *box) { b.model = "/nonexistent" }},
		{"program missing", "model", "programs fail, model skip", func(b *box) { b.paths = "programs: /nonexistent" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := p.sound(t)
			c.breaks(b)
			lines, _ := b.check(t, strings.Fields(c.only)...)
			var said []string
			for _, l := range lines {
				said = append(said, l.Check+" "+string(l.Status))
			}
			if got := strings.Join(said, ", "); got != c.want {
				t.Errorf("%s, want %s: %+v", got, c.want, lines)
			}
		})
	}
}
