package web

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"meltwatch/agent/compare"
	"meltwatch/agent/recorder"
	"meltwatch/durable"
)

// stuck is a comparer on a disk that hangs until it is let go; cancelling needs no disk.
type stuck struct {
	*models
	let chan struct{}
}

func (s stuck) Status() Comparing { <-s.let; return s.models.Status() }

func (s stuck) Last() (*compare.Comparison, error) { <-s.let; return s.models.Last() }

func (s stuck) Start(id, by string) error { <-s.let; return s.models.Start(id, by) }

// While the disk hangs, every request that needs it is answered in time, however many there
// are: none keeps a connection, of which the page has few. Now goes on, and all is well once
// the disk answers.
func TestHangingDiskKeepsNoConnection(t *testing.T) {
	hash, err := Hash(password)
	if err != nil {
		t.Fatal(err)
	}
	f := &furnace{folder: t.TempDir(), began: time.Now()}
	f.set("normal")
	synctest.Test(t, func(t *testing.T) {
		let := make(chan struct{})
		source := f.source()
		source.Labels = recorder.OpenLabels(hung{durable.Folder(f.folder), let, make(chan struct{}, 1000)})
		source.Comparer = stuck{&f.models, let}
		handler, err := (&Server{Address: "127.0.0.1:0", PasswordHash: hash, Source: source, Log: slog.New(slog.DiscardHandler)}).Handler(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		cookie := ""
		ask := func(method, path, body string) *httptest.ResponseRecorder {
			w, r := httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
			r.Host = "127.0.0.1"
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Cookie", cookie)
			handler.ServeHTTP(w, r)
			return w
		}
		in := ask("POST", "/login", `{"name": "Li", "password": "`+password+`"}`)
		if in.Code != http.StatusOK {
			t.Fatalf("log in: %d %s", in.Code, in.Body)
		}
		cookie, _, _ = strings.Cut(in.Header().Get("Set-Cookie"), ";")
		const label = `[{"from": "2026-11-28T13:00:00Z", "to": "2026-11-28T13:10:00Z", "class": "normal"}]`
		var clients sync.WaitGroup
		for range maxConnections {
			for _, one := range [][3]string{
				{"GET", "/api/comparison", ""}, {"GET", "/api/compare", ""},
				{"POST", "/api/labels", label}, {"POST", "/api/compare", `{"candidate": "` + candidateID + `"}`},
			} {
				clients.Go(func() {
					began := time.Now()
					w := ask(one[0], one[1], one[2])
					var said struct{ Error string }
					if took := time.Since(began); took > diskAnswers || w.Code != http.StatusServiceUnavailable {
						t.Errorf("%s: %d after %s: %s", one, w.Code, took, w.Body)
					}
					if json.Unmarshal(w.Body.Bytes(), &said) != nil || said.Error == "" || w.Header().Get("Content-Type") != "application/json" {
						t.Errorf("%s: %s %s", one, w.Header().Get("Content-Type"), w.Body)
					}
				})
			}
		}
		synctest.Wait() // all of them wait
		for _, one := range [][3]string{{"GET", "/api/now", ""}, {"GET", "/api/live", ""}, {"POST", "/api/acknowledge", `{"alarm": "7-1"}`}, {"POST", "/api/compare/cancel", "{}"}} {
			began := time.Now()
			if w := ask(one[0], one[1], one[2]); w.Code != http.StatusOK && one[1] != "/api/compare/cancel" || time.Since(began) > 0 {
				t.Errorf("%s: %d after %s", one, w.Code, time.Since(began))
			}
		}
		clients.Wait()
		close(let)
		synctest.Wait()
		for _, path := range []string{"/api/labels", "/api/comparison", "/api/compare"} {
			if w := ask("GET", path, ""); w.Code != http.StatusOK {
				t.Errorf("afterwards: %s: %d %s", path, w.Code, w.Body)
			}
		}
		if w := ask("POST", "/api/labels", label); w.Code != http.StatusOK {
			t.Errorf("afterwards: label: %d %s", w.Code, w.Body)
		}
	})
}
