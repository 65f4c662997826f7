package rollout

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"meltwatch/agent/message"
	"meltwatch/agent/remote/modelpackage"
	"meltwatch/durable/crashfs"
	"meltwatch/inference"
)

// scripted is an agent whose models follow the test's script. It outlives processes.
type scripted struct {
	t      *testing.T
	folder string
	disk   *crashfs.Disk
	// steps counts the operations of the process under test, which dies at dieAt.
	steps, dieAt int
	// fails returns the fault of a model while it is observed, by its package.
	fails map[string]error
	keys  map[string]string

	mu       sync.Mutex // guards the fields that a script reads while a process runs
	deciding string     // folder of the live model
	other    string     // folder of the second model
	compare  func(Comparison)
	reports  []message.ModelReport
	manager  *Manager
	stop     func()
}

func (b *scripted) step() {
	b.steps++
	if b.steps == b.dieAt {
		runtime.Goexit()
	}
}

type fakeInstance struct {
	process *scripted
	folder  string
}

func (m fakeInstance) sha() string { return filepath.Base(m.folder) }

func (m fakeInstance) Alive() error {
	m.process.tick()
	if m.process.deciding != m.folder {
		return nil // the fault appears after the switch
	}
	return m.process.fails[m.sha()]
}
func (m fakeInstance) Memory() (int64, error) { return 1e6, nil }
func (m fakeInstance) Golden(context.Context) ([]time.Duration, error) {
	m.process.step()
	return []time.Duration{time.Millisecond}, nil
}

// tick replaces the seconds of the decision loop.
func (b *scripted) tick() {
	if b.compare != nil {
		b.compare(Comparison{LiveP: 0.1, ShadowP: 0.1, LiveTook: time.Millisecond, ShadowTook: time.Millisecond})
	}
}

func (b *scripted) Fits(inference.Manifest) error { return nil }
func (b *scripted) Load(_ context.Context, folder string) (Instance, error) {
	b.step()
	if _, err := os.Stat(folder); err != nil {
		return nil, err
	}
	b.other = folder
	return fakeInstance{b, folder}, nil
}
func (b *scripted) Live() Instance { return fakeInstance{b, b.deciding} }
func (b *scripted) Shadow(_ context.Context, _ Instance, compare func(Comparison)) error {
	b.step()
	b.compare = compare
	return nil
}
func (b *scripted) Switch(context.Context) error {
	b.mu.Lock()
	b.deciding, b.other = b.other, b.deciding
	b.mu.Unlock()
	b.step()
	return nil
}
func (b *scripted) Drop() {
	b.compare, b.other = nil, ""
	b.step()
}
func (b *scripted) Beat()                   {}
func (b *scripted) OK()                     {}
func (b *scripted) Fault(error)             {}
func (b *scripted) Count(map[string]uint64) {}

const own = "../../../inference/models/product"

func newScripted(t *testing.T) *scripted {
	b := &scripted{t: t, folder: t.TempDir(), dieAt: -1, fails: map[string]error{}, keys: map[string]string{}}
	b.disk = crashfs.New(-1)
	b.disk.Step = b.step
	return b
}

func (b *scripted) start(kernelBoot string) {
	b.t.Helper()
	settings := Settings{
		Folder: b.folder, Own: own, Files: b.disk, KernelBoot: kernelBoot,
		Report: func(r message.ModelReport) {
			b.mu.Lock()
			b.reports = append(b.reports, r)
			b.mu.Unlock()
			b.step()
		},
		HTTP: http.DefaultClient, Log: slog.New(slog.DiscardHandler),
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		m, folder := Open(settings)
		m.Adopt(Limits{Enabled: true, Keys: b.keys, Package: 64e6, Memory: 600e6, Latency: 200 * time.Millisecond})
		b.manager, b.deciding, b.other, b.compare = m, folder, "", nil
		if err := m.Run(ctx, b, b); err != nil {
			b.t.Error(err)
		}
	}()
	b.stop = func() { cancel(); <-done }
	b.sleep(time.Millisecond)
}

func (b *scripted) last() message.ModelReport {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.reports) == 0 {
		b.t.Fatal("nothing was reported")
	}
	return b.reports[len(b.reports)-1]
}

// want compares the last report and the live model with the expected ones.
func (b *scripted) want(status string, revision int64, running string) {
	b.t.Helper()
	r := b.last()
	if r.Status != status || r.Revision != revision || r.Running != running || !b.true(r) {
		b.t.Fatalf("report %+v, %s decides; want %s of %d, running %.12q", r, b.deciding, status, revision, running)
	}
}

// true reports whether a report names the live model.
func (b *scripted) true(r message.ModelReport) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.Running == "" {
		return b.deciding == own
	}
	return filepath.Base(b.deciding) == r.Running
}

// variant packs and signs the product's model under another name.
func (b *scripted) variant(name string) (file string, signed message.SignedPackage) {
	b.t.Helper()
	folder := b.t.TempDir()
	if err := os.CopyFS(folder, os.DirFS(own)); err != nil {
		b.t.Fatal(err)
	}
	path := filepath.Join(folder, "manifest.json")
	text, err := os.ReadFile(path)
	if err != nil {
		b.t.Fatal(err)
	}
	text = []byte(strings.Replace(string(text), `"name": "product"`, `"name": "`+name+`"`, 1))
	var body bytes.Buffer
	file = filepath.Join(b.t.TempDir(), "model.tar")
	keyFile := filepath.Join(b.t.TempDir(), "key.pem")
	public, keyErr := modelpackage.NewKey(keyFile)
	if err := errors.Join(keyErr, os.WriteFile(path, text, 0o600), modelpackage.Write(&body, folder), os.WriteFile(file, body.Bytes(), 0o600)); err != nil {
		b.t.Fatal(err)
	}
	key, err := modelpackage.ReadKey(keyFile)
	if err != nil {
		b.t.Fatal(err)
	}
	b.keys[name] = public
	if signed.SHA256, signed.Size, err = modelpackage.Sum(file); err != nil {
		b.t.Fatal(err)
	}
	signed.Sign(name, key)
	return file, signed
}

func payload(t testing.TB, d message.ModelDesired) []byte {
	t.Helper()
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// sleep lets the process under test run for a while.
func (b *scripted) sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
