package web

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"meltwatch/agent/recorder"
	"meltwatch/durable"
)

// hung is a journal of labels whose disk hangs until it is let go.
type hung struct {
	durable.Files
	let   chan struct{}
	asked chan struct{}
}

func (h hung) Read(name string, most int64) ([]byte, error) {
	h.asked <- struct{}{}
	<-h.let
	return h.Files.Read(name, most)
}

// Requests that read the recording are bounded in number, while a disk hangs too: the others
// are told when to try again, and the page goes on.
func TestReadsAreBounded(t *testing.T) {
	f := &furnace{folder: t.TempDir()}
	f.set("normal")
	f.record(t)
	slow := hung{durable.Folder(f.folder), make(chan struct{}), make(chan struct{}, 1000)}
	source := f.source()
	source.Labels = recorder.OpenLabels(slow)
	handler, err := (&Server{Address: "127.0.0.1:0", Source: source, Log: slog.New(slog.DiscardHandler)}).Handler(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	defer server.Close()
	from := f.began.Unix()
	var mu sync.Mutex
	codes, clients := map[int]int{}, sync.WaitGroup{}
	paths := []string{"labels", fmt.Sprintf("timeline?from=%d&to=%d", from, from+200), fmt.Sprintf("alarms?from=%d&to=%d", from, from+200)}
	for n := range 3 * maxReads {
		clients.Go(func() {
			r, err := http.Get(server.URL + "/api/" + paths[n%len(paths)])
			if err != nil {
				t.Error(err)
				return
			}
			r.Body.Close()
			mu.Lock()
			defer mu.Unlock()
			codes[r.StatusCode]++
			if r.StatusCode == http.StatusServiceUnavailable && r.Header.Get("Retry-After") == "" {
				t.Error("not told when to try again")
			}
		})
	}
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		mu.Lock()
		refused := codes[http.StatusServiceUnavailable]
		mu.Unlock()
		if refused == 2*maxReads {
			break
		}
		if time.Since(began) > 20*time.Second {
			t.Fatalf("answers %v", codes)
		}
	}
	c := browser(t)
	for _, path := range []string{"samples", "picture?at=1", "labels"} { // of the same kind
		if code, text := do(t, c, "GET", server.URL+"/api/"+path, ""); code != http.StatusServiceUnavailable {
			t.Errorf("%s: %d %s", path, code, text)
		}
	}
	if code, text := do(t, c, "GET", server.URL+"/api/now", ""); code != http.StatusOK {
		t.Errorf("now: %d %s", code, text)
	}
	close(slow.let)
	clients.Wait()
	if codes[http.StatusOK] != maxReads {
		t.Errorf("answers %v, want %d", codes, maxReads)
	}
	if code, text := do(t, c, "GET", server.URL+"/api/labels", ""); code != http.StatusOK {
		t.Errorf("afterwards: %d %s", code, text)
	}
}

// Downloads are bounded in number, and each that waits has its turn.
func TestClipsAreBounded(t *testing.T) {
	f, url := started(t)
	clip := fmt.Sprintf("%s/api/clip.tar?from=%d&to=%d", url, f.began.Unix()-1, f.began.Unix()+200)
	release := make(chan struct{})
	p := &page{clips: make(limiter, maxClips)}
	guarded := bounded(p.clips, func(w http.ResponseWriter, _ *http.Request) { <-release })
	done := sync.WaitGroup{}
	for range maxClips {
		done.Go(func() { guarded(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)) })
	}
	for len(p.clips) < maxClips {
		time.Sleep(time.Millisecond)
	}
	w := httptest.NewRecorder()
	guarded(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "try again") {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	close(release)
	done.Wait()
	var clients sync.WaitGroup
	for range 4 * maxClips { // each in its turn
		clients.Go(func() {
			r, err := http.Get(clip)
			if err != nil {
				t.Error(err)
				return
			}
			defer r.Body.Close()
			if r.StatusCode != http.StatusOK {
				t.Errorf("clip: %d", r.StatusCode)
			}
		})
	}
	clients.Wait()
}
