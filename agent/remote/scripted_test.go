package remote

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"meltwatch/agent/message"
	"meltwatch/config"
	"meltwatch/durable/crashfs"
)

const local = `{site: plant, furnace: f1, meters: {main: {url: "tcp://127.0.0.1:502", fields: {
current_a: {address: 0}, current_b: {address: 2}, current_c: {address: 4}, set_point: {address: 6}}}},
camera: {url: "rtsp://127.0.0.1/x"}, mqtt: {broker: "tcp://127.0.0.1:1883"}, paths: {state: /tmp}}`

// fakeAgent is an agent whose parts work or fail as the test wants. It outlives
// processes.
type fakeAgent struct {
	t *testing.T
	// works reports whether a configuration's parts make progress.
	works func(config.Config) bool
	// builds, unless nil, reports whether its parts can be built at all.
	builds func(config.Config) bool
	disk   *crashfs.Disk
	// steps counts the operations of the process under test, which dies at dieAt.
	steps, dieAt int

	local   string
	running config.Config
	begins  int
	reports []message.ConfigReport
	manager *Manager
	stop    func()
}

// step counts one operation of the process, which may die after it.
func (a *fakeAgent) step() {
	a.steps++
	if a.steps == a.dieAt {
		runtime.Goexit()
	}
}

func (a *fakeAgent) Begin(c config.Config) (Change, []message.Fault) {
	a.begins++
	a.step()
	if a.builds != nil && !a.builds(c) {
		return nil, message.OneFault("model.path", "not built: scripted")
	}
	before := a.running
	a.running = c
	return change{a, before}, nil
}

func (a *fakeAgent) Begun(before config.Config) Change { return change{a, before} }

type change struct {
	agent  *fakeAgent
	before config.Config
}

func (c change) Missing() []message.Fault {
	if c.agent.works(c.agent.running) {
		return nil
	}
	return message.OneFault("camera", "no frame: scripted")
}
func (c change) Keep() { c.agent.step() }
func (c change) Undo() { c.agent.step(); c.agent.running = c.before }

func (a *fakeAgent) Beat()                   {}
func (a *fakeAgent) OK()                     {}
func (a *fakeAgent) Fault(error)             {}
func (a *fakeAgent) Count(map[string]uint64) {}

func newFakeAgent(t *testing.T, works func(config.Config) bool) *fakeAgent {
	b := &fakeAgent{t: t, works: works, local: local, dieAt: -1}
	b.disk = crashfs.New(-1)
	b.disk.Step = b.step
	return b
}

// start starts a process in virtual time.
func (a *fakeAgent) start(kernelBoot string) {
	a.t.Helper()
	settings := Settings{
		Files: a.disk, KernelBoot: kernelBoot, Root: "meltwatch/plant/f1/",
		ReadLocal: func() ([]byte, error) { return []byte(a.local), nil },
		Report:    func(r message.ConfigReport) { a.reports = append(a.reports, r); a.step() },
		Log:       slog.New(slog.DiscardHandler),
	}
	before := a.disk.Snapshot()
	force, damaged := InForce(settings, []byte(a.local))
	if diff := cmp.Diff(before, a.disk.Snapshot()); diff != "" {
		a.t.Errorf("InForce changed the disk: %s", diff)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		m, c, err := Open(settings, []byte(a.local))
		if err != nil {
			a.t.Error(err)
			return
		}
		if died := m.last.Status == message.RolledBack && len(force.Faults) == 0; !died && damaged == nil {
			if diff := cmp.Diff(c, force.Config); diff != "" || m.version.Revision != force.Revision {
				a.t.Errorf("revision %d starts, InForce says %d: %s", m.version.Revision, force.Revision, diff)
			}
		}
		a.running, a.manager = c, m
		if err := m.Run(ctx, a, a); err != nil {
			a.t.Error(err)
		}
	}()
	a.stop = func() { cancel(); <-done }
	a.sleep(time.Millisecond)
}

func (a *fakeAgent) last() message.ConfigReport {
	a.t.Helper()
	if len(a.reports) == 0 {
		a.t.Fatal("nothing was reported")
	}
	return a.reports[len(a.reports)-1]
}

// want compares the last report and the running configuration with the expected ones.
func (a *fakeAgent) want(status string, revision, running int64) {
	a.t.Helper()
	r := a.last()
	if r.Status != status || r.Revision != revision || r.RunningRevision != running || r.SHA256 != config.Digest(a.running) {
		a.t.Fatalf("report %+v, running %.8s…; want %s of %d, running %d", r, config.Digest(a.running), status, revision, running)
	}
}

func desired(revision int64, patch string) []byte {
	text, err := json.Marshal(message.ConfigDesired{Revision: revision, Config: json.RawMessage(patch), DeadlineS: 10})
	if err != nil {
		panic(err)
	}
	return text
}

// meanSeconds returns a patch that identifies a revision.
func meanSeconds(n int64) string { return fmt.Sprintf(`{"state": {"mean_seconds": %d}}`, n) }

func always(config.Config) bool { return true }

// notThirteen makes a configuration with mean_seconds 13 fail.
func notThirteen(c config.Config) bool { return c.State.MeanSeconds != 13 }

// sleep lets the process under test run for a while.
func (a *fakeAgent) sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
