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

func (s *scripted) step() {
	s.steps++
	if s.steps == s.dieAt {
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
func (s *scripted) tick() {
	if s.compare != nil {
		s.compare(Comparison{LiveP: 0.1, ShadowP: 0.1, LiveTook: time.Millisecond, ShadowTook: time.Millisecond})
	}
}

func (s *scripted) Fits(inference.Manifest) error { return nil }
func (s *scripted) Load(_ context.Context, folder string) (Instance, error) {
	s.step()
	if _, err := os.Stat(folder); err != nil {
		return nil, err
	}
	s.other = folder
	return fakeInstance{s, folder}, nil
}
func (s *scripted) Live() Instance { return fakeInstance{s, s.deciding} }
func (s *scripted) Shadow(_ context.Context, _ Instance, compare func(Comparison)) error {
	s.step()
	s.compare = compare
	return nil
}
func (s *scripted) Switch(context.Context) error {
	s.mu.Lock()
	s.deciding, s.other = s.other, s.deciding
	s.mu.Unlock()
	s.step()
	return nil
}
func (s *scripted) Drop() {
	s.compare, s.other = nil, ""
	s.step()
}
func (s *scripted) Beat()                   {}
func (s *scripted) OK()                     {}
func (s *scripted) Fault(error)             {}
func (s *scripted) Count(map[string]uint64) {}

const own = "../../../inference/models/product"

func newScripted(t *testing.T) *scripted {
	b := &scripted{t: t, folder: t.TempDir(), dieAt: -1, fails: map[string]error{}, keys: map[string]string{}}
	b.disk = crashfs.New(-1)
	b.disk.Step = b.step
	return b
}

func (s *scripted) start(kernelBoot string) {
	s.t.Helper()
	settings := Settings{
		Folder: s.folder, Own: own, Files: s.disk, KernelBoot: kernelBoot,
		Report: func(r message.ModelReport) {
			s.mu.Lock()
			s.reports = append(s.reports, r)
			s.mu.Unlock()
			s.step()
		},
		HTTP: http.DefaultClient, Log: slog.New(slog.DiscardHandler),
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		m, folder := Open(settings)
		m.Adopt(Limits{Enabled: true, Keys: s.keys, Package: 64e6, Memory: 600e6, Latency: 200 * time.Millisecond})
		s.manager, s.deciding, s.other, s.compare = m, folder, "", nil
		if err := m.Run(ctx, s, s); err != nil {
			s.t.Error(err)
		}
	}()
	s.stop = func() { cancel(); <-done }
	s.sleep(time.Millisecond)
}

func (s *scripted) last() message.ModelReport {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.reports) == 0 {
		s.t.Fatal("nothing was reported")
	}
	return s.reports[len(s.reports)-1]
}

// want compares the last report and the live model with the expected ones.
func (s *scripted) want(status string, revision int64, running string) {
	s.t.Helper()
	r := s.last()
	if r.Status != status || r.Revision != revision || r.Running != running || !s.true(r) {
		s.t.Fatalf("report %+v, %s decides; want %s of %d, running %.12q", r, s.deciding, status, revision, running)
	}
}

// true reports whether a report names the live model.
func (s *scripted) true(r message.ModelReport) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Running == "" {
		return s.deciding == own
	}
	return filepath.Base(s.deciding) == r.Running
}

// variant packs and signs the product's model under another name.
func (s *scripted) variant(name string) (file string, signed message.SignedPackage) {
	s.t.Helper()
	folder := s.t.TempDir()
	if err := os.CopyFS(folder, os.DirFS(own)); err != nil {
		s.t.Fatal(err)
	}
	path := filepath.Join(folder, "manifest.json")
	text, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	text = []byte(strings.Replace(string(text), `"name": "product"`, `"name": "`+name+`"`, 1))
	var body bytes.Buffer
	file = filepath.Join(s.t.TempDir(), "model.tar")
	keyFile := filepath.Join(s.t.TempDir(), "key.pem")
	public, keyErr := modelpackage.NewKey(keyFile)
	if err := errors.Join(keyErr, os.WriteFile(path, text, 0o600), modelpackage.Write(&body, folder), os.WriteFile(file, body.Bytes(), 0o600)); err != nil {
		s.t.Fatal(err)
	}
	key, err := modelpackage.ReadKey(keyFile)
	if err != nil {
		s.t.Fatal(err)
	}
	s.keys[name] = public
	if signed.SHA256, signed.Size, err = modelpackage.Sum(file); err != nil {
		s.t.Fatal(err)
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
func (s *scripted) sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
