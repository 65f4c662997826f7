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

	"meltwatch/agent/remote/pack"
	"meltwatch/durable/crashfs"
	"meltwatch/inference"
)

// box is an agent whose models do what the test wants. It outlives processes.
type box struct {
	t      *testing.T
	folder string
	disk   *crashfs.Disk
	// steps counts what the process under test does; it dies at dieAt.
	steps, dieAt int
	// fails says what a model, by its package, is found to do while it is observed.
	fails map[string]error
	keys  map[string]string

	mu       sync.Mutex // of what a script reads while a process runs
	deciding string     // folder of the model that decides
	other    string     // of the one that was loaded beside it
	compare  func(Comparison)
	reports  []Report
	manager  *Manager
	stop     func()
}

func (b *box) step() {
	b.steps++
	if b.steps == b.dieAt {
		runtime.Goexit()
	}
}

type brain struct {
	box    *box
	folder string
}

func (m brain) sha() string { return filepath.Base(m.folder) }

func (m brain) Alive() error {
	m.box.tick()
	if m.box.deciding != m.folder {
		return nil // the illness shows after the switch
	}
	return m.box.fails[m.sha()]
}
func (m brain) Memory() (int64, error) { return 1e6, nil }
func (m brain) Golden(context.Context) ([]time.Duration, error) {
	m.box.step()
	return []time.Duration{time.Millisecond}, nil
}

// tick stands in for the decide loop's seconds.
func (b *box) tick() {
	if b.compare != nil {
		b.compare(Comparison{LiveP: 0.1, ShadowP: 0.1, LiveTook: time.Millisecond, ShadowTook: time.Millisecond})
	}
}

func (b *box) Fits(inference.Manifest) error { return nil }
func (b *box) Load(_ context.Context, folder string) (Brain, error) {
	b.step()
	if _, err := os.Stat(folder); err != nil {
		return nil, err
	}
	b.other = folder
	return brain{b, folder}, nil
}
func (b *box) Live() Brain { return brain{b, b.deciding} }
func (b *box) Shadow(_ context.Context, _ Brain, compare func(Comparison)) error {
	b.step()
	b.compare = compare
	return nil
}
func (b *box) Switch(context.Context) error {
	b.mu.Lock()
	b.deciding, b.other = b.other, b.deciding
	b.mu.Unlock()
	b.step()
	return nil
}
func (b *box) Drop() {
	b.compare, b.other = nil, ""
	b.step()
}
func (b *box) Beat()                   {}
func (b *box) OK()                     {}
func (b *box) Fault(error)             {}
func (b *box) Count(map[string]uint64) {}

const own = "../../../inference/models/product"

func newBox(t *testing.T) *box {
	b := &box{t: t, folder: t.TempDir(), dieAt: -1, fails: map[string]error{}, keys: map[string]string{}}
	b.disk = crashfs.New(-1)
	b.disk.Step = b.step
	return b
}

func (b *box) start(kernelBoot string) {
	b.t.Helper()
	settings := Settings{
		Folder: b.folder, Own: own, Files: b.disk, KernelBoot: kernelBoot,
		Report: func(r Report) {
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

func (b *box) last() Report {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.reports) == 0 {
		b.t.Fatal("nothing was reported")
	}
	return b.reports[len(b.reports)-1]
}

// want holds the last report and what decides against what they must be.
func (b *box) want(status string, revision int64, running string) {
	b.t.Helper()
	r := b.last()
	if r.Status != status || r.Revision != revision || r.Running != running || !b.true(r) {
		b.t.Fatalf("report %+v, %s decides; want %s of %d, running %.12q", r, b.deciding, status, revision, running)
	}
}

// true reports whether a report names what decides.
func (b *box) true(r Report) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.Running == "" {
		return b.deciding == own
	}
	return filepath.Base(b.deciding) == r.Running
}

// variant packs and signs the product's model under another name.
func (b *box) variant(name string) (file string, signed pack.Signed) {
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
	public, keyErr := pack.NewKey(keyFile)
	if err := errors.Join(keyErr, os.WriteFile(path, text, 0o600), pack.Write(&body, folder), os.WriteFile(file, body.Bytes(), 0o600)); err != nil {
		b.t.Fatal(err)
	}
	key, err := pack.ReadKey(keyFile)
	if err != nil {
		b.t.Fatal(err)
	}
	b.keys[name] = public
	if signed.SHA256, signed.Size, err = pack.Sum(file); err != nil {
		b.t.Fatal(err)
	}
	signed.Sign(name, key)
	return file, signed
}

func payload(t testing.TB, d Desired) []byte {
	t.Helper()
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// sleep lets the process under test do what it has to do by then.
func (b *box) sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
