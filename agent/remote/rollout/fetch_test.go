package rollout

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"meltwatch/agent/message"
	"meltwatch/config/strict/stricttest"
	"meltwatch/durable"
)

func TestURLsOfFilesLeadToRegularFilesOnly(t *testing.T) {
	b := newScripted(t)
	file, signed := b.variant("better")
	folder := t.TempDir()
	fifo, link := filepath.Join(folder, "fifo"), filepath.Join(folder, "link")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	m := &Manager{settings: Settings{Folder: b.folder}}
	for path, want := range map[string]string{
		file: "", fifo: "not a regular file", link: "symbolic link", folder: "not a regular file", "/dev/zero": "not a regular file",
		"/dev/tty": "not a regular file", "/proc/self/fd/0": "symbolic link", filepath.Join(folder, "gone"): "no such file",
	} {
		began := time.Now()
		err := m.copyURL(t.Context(), message.ModelDesired{SignedPackage: signed, URL: "file://" + path})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s took %s", path, took)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := m.copyURL(ended, message.ModelDesired{SignedPackage: signed, URL: "file://" + file}); err == nil {
		t.Error("a copy went on after its context")
	}
}

// watch is an Observer that records the longest time between two beats.
type watch struct {
	mu      sync.Mutex
	last    time.Time
	longest time.Duration
}

func (w *watch) Beat() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.last.IsZero() {
		w.longest = max(w.longest, time.Since(w.last))
	}
	w.last = time.Now()
}
func (w *watch) OK()                     {}
func (w *watch) Fault(error)             {}
func (w *watch) Count(map[string]uint64) {}

// real runs a manager in real time.
type real struct {
	*Manager
	watch watch
	last  atomic.Pointer[message.ModelReport]
	end   func() error
}

func runReal(t *testing.T, b *scripted, client *http.Client) *real {
	t.Helper()
	r := &real{}
	r.Manager, _ = Open(Settings{
		Folder: b.folder, Own: own, Files: durable.Folder(b.folder), HTTP: client,
		Report: func(report message.ModelReport) { r.last.Store(&report) }, Log: slog.New(slog.DiscardHandler),
	})
	r.Adopt(Limits{Enabled: true, Keys: b.keys, Package: 64e6, Memory: 600e6, Latency: 200 * time.Millisecond})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx, b, &r.watch) }()
	r.end = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() {
		if err := r.end(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *real) until(t *testing.T, what string, ok func(message.ModelReport) bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if report := r.last.Load(); report != nil && ok(*report) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: the last report is %+v", what, r.last.Load())
		}
	}
}

// slowly serves a body of single bytes at intervals until the client leaves.
func slowly(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write([]byte{0}); err != nil {
				return
			}
			http.NewResponseController(w).Flush() //nolint:errcheck // the next write tells
			time.Sleep(20 * time.Millisecond)
		}
	}))
	t.Cleanup(server.Close)
	return server
}

func TestNewerDocumentEndsASlowDownload(t *testing.T) {
	server, b := slowly(t), newScripted(t)
	_, first := b.variant("first")
	file, second := b.variant("second")
	r := runReal(t, b, server.Client())
	slow := payload(t, message.ModelDesired{Revision: 2, SignedPackage: first, URL: server.URL + "/slow"})
	r.Desired(slow)
	receives := func(report message.ModelReport) bool {
		return report.Revision == 2 && report.Status == message.Receiving
	}
	r.until(t, "it receives", receives)
	// A repetition of the document, an older one and an unsigned one do not end it.
	stranger := second
	stranger.Signature = first.Signature
	r.Desired(slow)
	r.Desired(payload(t, message.ModelDesired{Revision: 1, SignedPackage: second, URL: "file://" + file}))
	r.Desired(payload(t, message.ModelDesired{Revision: 3, SignedPackage: stranger, URL: "file://" + file}))
	time.Sleep(time.Second)
	if report := *r.last.Load(); !receives(report) {
		t.Fatalf("report %+v", report)
	}
	r.Desired(payload(t, message.ModelDesired{Revision: 4, SignedPackage: second, ShadowS: 3600, URL: "file://" + file}))
	r.until(t, "the newer one shadows", func(report message.ModelReport) bool {
		return report.Revision == 4 && report.Status == message.Shadowing
	})
	if r.watch.longest > 5*time.Second {
		t.Errorf("no beat for %s", r.watch.longest)
	}
}

func TestEndOfTheAgentEndsADownload(t *testing.T) {
	server, b := slowly(t), newScripted(t)
	_, signed := b.variant("first")
	r := runReal(t, b, server.Client())
	r.Desired(payload(t, message.ModelDesired{Revision: 1, SignedPackage: signed, URL: server.URL + "/slow"}))
	r.until(t, "it receives", func(report message.ModelReport) bool { return report.Status == message.Receiving })
	began := time.Now()
	if err := r.end(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("the end took %s", took)
	}
}

// The newest of several documents is rolled out, whatever their order; the others
// are not.
func TestNewestModelDocumentWins(t *testing.T) {
	b := newScripted(t)
	file, signed := b.variant("first")
	for _, order := range [][]int64{{2, 3, 4}, {4, 3, 2}, {3, 4, 2}} {
		r := runReal(t, b, http.DefaultClient)
		var waiting [][]byte
		for _, revision := range order {
			waiting = append(waiting, payload(t, message.ModelDesired{Revision: revision, SignedPackage: signed, ShadowS: 3600, URL: "file://" + file}))
		}
		for _, one := range waiting {
			r.Desired(one)
		}
		r.until(t, fmt.Sprint(order), func(report message.ModelReport) bool {
			return report.Revision == 4 && report.Status == message.Shadowing
		})
		if err := r.end(); err != nil {
			t.Error(err)
		}
	}
}

func TestHugeModelRevisionsAreRefused(t *testing.T) {
	b := newScripted(t)
	_, signed := b.variant("first")
	m := &Manager{live: ModelID{Revision: 7}}
	for revision, want := range map[int64]int{6: 1, 8: 0, 1<<32 + 8: 1, 1<<63 - 1: 1} {
		if got := m.refusal(message.ModelDesired{Revision: revision, SignedPackage: signed}, Limits{Keys: b.keys, Package: 64e6}); len(got) != want {
			t.Errorf("revision %d: %+v", revision, got)
		}
	}
	m.live.Revision = 1<<63 - 1 // release 0.3.0 accepted it
	if got := m.refusal(message.ModelDesired{Revision: 1, SignedPackage: signed}, Limits{Keys: b.keys, Package: 64e6}); len(got) != 0 {
		t.Errorf("nothing can follow 2⁶³ − 1: %+v", got)
	}
}

func TestWorstModelDocumentsAreAnsweredAtOnce(t *testing.T) {
	b := newScripted(t)
	file, signed := b.variant("first")
	body, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	m, _ := Open(Settings{
		Folder: b.folder, Own: own, Files: durable.Folder(b.folder), Report: func(r message.ModelReport) {
			if text, err := json.Marshal(r); err != nil || len(text) > 48<<10 {
				t.Errorf("a report of %d bytes, %v", len(text), err)
			}
		}, Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	m.Adopt(Limits{Enabled: true, Keys: b.keys, Package: 64e6})
	stricttest.CheckBounded(t, func(document []byte) {
		m.process(t.Context(), [][]byte{document, document[:min(len(document), message.MaxModelDesired)]})
	})
	if log.Len() > 16<<10 {
		t.Errorf("%d bytes of log in some seconds", log.Len())
	}
	if err := m.expect(message.ModelDesired{Revision: 1, SignedPackage: signed}); err != nil {
		t.Fatal(err)
	}
	stricttest.CheckBounded(t, func(document []byte) {
		m.receive(t.Context(), chunk{1, document})
		m.receive(t.Context(), chunk{1, append(bytes.Clone(body[:64]), document...)})
	})
	m.closeDownload()
}
