package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"sync"
	"testing"
	"time"

	"meltwatch/agent/health"
	"meltwatch/agent/message"
	"meltwatch/agent/recorder"
	"meltwatch/drivers"
	"meltwatch/durable"
)

// furnace is an agent behind a page, with an hour of recording.
type furnace struct {
	mu    sync.Mutex
	state message.State
	alarm *message.Alarm
	// suspicion is nil before the first.
	suspicion *message.Alarm
	did       []string
	folder    string
	began     time.Time
	stuck     time.Time // when its decisions stopped
	live      Live
	models    models
	probes    probes
}

func (f *furnace) note(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.did = append(f.did, fmt.Sprintf(format, args...))
}

func (f *furnace) all() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.did, "; ")
}

func (f *furnace) set(state string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.state.Seq++
	f.state.State, f.state.Time = state, time.Now().UTC()
}

func (f *furnace) source() Source {
	return Source{
		Site: "plant-1", Furnace: "f07", Version: "test",
		State: func() *message.State {
			f.mu.Lock()
			defer f.mu.Unlock()
			s := f.state
			if f.stuck.IsZero() {
				s.Time = time.Now().UTC()
			} else {
				s.Time = f.stuck
			}
			return &s
		},
		Alarm: func() *message.Alarm {
			f.mu.Lock()
			defer f.mu.Unlock()
			return f.alarm
		},
		Suspicion: func() *message.Alarm {
			f.mu.Lock()
			defer f.mu.Unlock()
			return f.suspicion
		},
		Health:     func() map[string]health.Status { return map[string]health.Status{"meters": {Status: "ok"}} },
		Thresholds: func() (float64, float64) { return 0.95, 0.6 },
		Config:     func() (string, error) { return "site: plant-1\n", nil },
		View: func(_ context.Context, evidence bool) ([]byte, error) {
			return fmt.Appendf(nil, "jpeg %t", evidence), nil
		},
		Crop: func() Crop { return Crop{Width: 512, Height: 512, PictureWidth: 1280, PictureHeight: 720} },
		Acknowledge: func(_ context.Context, id, by string) (bool, error) {
			f.note("%s acknowledged by %s", id, by)
			return true, nil
		},
		Shelve: func(id, by, reason string, lasts time.Duration) error {
			f.note("%s shelved by %s for %s: %s", id, by, lasts, reason)
			return nil
		},
		Labelled: func(l recorder.Label) { f.note("labelled %s by %s", l.Class, l.By) },
		Mark:     func(by, text string) { f.note("marked by %s: %s", by, text) },
		Library:  recorder.OpenLibrary(f.folder), Labels: recorder.OpenLabels(durable.Folder(f.folder)),
		Live: &f.live, Comparer: &f.models, Prober: &f.probes,
	}
}

// record writes a recording that ends now.
func (f *furnace) record(t *testing.T) {
	t.Helper()
	f.began = time.Now().Add(-5 * time.Minute)
	r := recorder.New(recorder.Settings{
		Files: durable.Folder(f.folder), MaxBytes: 1 << 30, MaxAge: time.Hour,
		Wall: func(t time.Time) time.Time { return t.UTC().Round(0) }, Log: slog.New(slog.DiscardHandler), Observer: nothing{},
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	for n := range 100 {
		at := f.began.Add(time.Duration(n) * time.Second)
		r.Sample(drivers.Sample{Time: at, Current: [3]float64{15000, 15100, 14900}})
		r.Second(recorder.Second{Decided: at, State: message.State{Stamp: message.Stamp{Time: at.UTC()}, State: "normal"},
			Frame: drivers.Frame{Time: at, Number: uint64(n + 1), Width: 2, Height: 2, Pixels: make([]byte, 12)}})
	}
	r.Event(message.Event{Stamp: message.Stamp{Time: f.began.Add(50 * time.Second).UTC()}, Kind: "alarm", Subject: "7-1", To: "raised", Cause: "<b>p</b>"})
	cancel()
	<-ended
}

type nothing struct{}

func (nothing) Beat()                   {}
func (nothing) OK()                     {}
func (nothing) Fault(error)             {}
func (nothing) Count(map[string]uint64) {}

const password = "a long password"

// page serves a furnace on a port of its own and returns its address.
func serve(t *testing.T, f *furnace, hash []byte) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	listening := make(chan net.Addr, 1)
	s := &Server{Address: "127.0.0.1:0", PasswordHash: hash, Source: f.source(), Log: slog.New(slog.DiscardHandler), Observer: nothing{},
		Listening: func(a net.Addr) { listening <- a }}
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
	})
	select {
	case a := <-listening:
		return "http://" + a.String()
	case err := <-ended:
		ended <- err
		t.Fatal(err)
		return ""
	}
}

func started(t *testing.T) (*furnace, string) {
	t.Helper()
	f := &furnace{folder: t.TempDir()}
	f.set("normal")
	f.record(t)
	hash, err := Hash(password)
	if err != nil {
		t.Fatal(err)
	}
	return f, serve(t, f, hash)
}

// browser is a client that keeps its cookies.
func browser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar, Timeout: 20 * time.Second}
}

func do(t *testing.T, c *http.Client, method, url, body string, header ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

func logIn(t *testing.T, c *http.Client, url string) {
	t.Helper()
	if code, text := do(t, c, "POST", url+"/login", `{"name": "Li", "password": "`+password+`"}`); code != 200 {
		t.Fatalf("log in: %d %s", code, text)
	}
}

// Who has not logged in sees, and changes nothing.
func TestOnlyWhoLogsInChangesAnything(t *testing.T) {
	f, url := started(t)
	from := f.began.UTC().Format(time.RFC3339)
	to := f.began.Add(time.Minute).UTC().Format(time.RFC3339)
	changes := map[string]string{
		"/api/acknowledge": `{"alarm": "7-1"}`,
		"/api/shelve":      `{"alarm": "7-1", "minutes": 15, "reason": "tapping"}`,
		"/api/mark":        `{"text": "tap"}`,
		"/api/labels":      `[{"class": "abnormal", "from": "` + from + `", "to": "` + to + `"}]`,
	}
	c := browser(t)
	for path, body := range changes {
		if code, text := do(t, c, "POST", url+path, body); code != http.StatusUnauthorized || !strings.Contains(text, "log in") {
			t.Errorf("%s without a log-in: %d %s", path, code, text)
		}
	}
	if code, text := do(t, c, "POST", url+"/login", `{"name": "Li", "password": "wrong"}`); code != http.StatusForbidden || strings.Contains(text, password) {
		t.Errorf("wrong password: %d %s", code, text)
	}
	logIn(t, c, url)
	for path, body := range changes {
		if code, text := do(t, c, "POST", url+path, body); code != 200 {
			t.Errorf("%s: %d %s", path, code, text)
		}
	}
	for _, want := range []string{"7-1 acknowledged by Li", "7-1 shelved by Li for 15m0s: tapping", "marked by Li: tap", "labelled abnormal by Li"} {
		if !strings.Contains(f.all(), want) {
			t.Errorf("%q is missing in %q", want, f.all())
		}
	}
	labels, err := recorder.OpenLabels(durable.Folder(f.folder)).All()
	if err != nil || len(labels) != 1 || labels[0].By != "Li" || labels[0].Class != recorder.ClassAbnormal {
		t.Errorf("labels on disk %+v, %v", labels, err)
	}
	if code, _ := do(t, c, "POST", url+"/logout", `{}`); code != 200 {
		t.Errorf("log out: %d", code)
	}
	if code, _ := do(t, c, "POST", url+"/api/acknowledge", `{}`); code != http.StatusUnauthorized {
		t.Errorf("after the log-out: %d", code)
	}
}

// Another site's page, by form, by name or in a frame, gets nowhere.
func TestOtherSitesAreRefused(t *testing.T) {
	f, url := started(t)
	c := browser(t)
	logIn(t, c, url)
	for name, header := range map[string][]string{
		"another origin":    {"Origin", "http://evil.example"},
		"a cross-site post": {"Sec-Fetch-Site", "cross-site"},
		"another name":      {"Host", "evil.example"},
		"a form":            {"Content-Type", "application/x-www-form-urlencoded"},
		"plain text":        {"Content-Type", "text/plain"},
	} {
		if code, _ := do(t, c, "POST", url+"/api/acknowledge", `{"alarm": "7-1"}`, header...); code < 400 {
			t.Errorf("%s: %d", name, code)
		}
	}
	if code, _ := do(t, c, "GET", url+"/api/now", "", "Host", "evil.example"); code < 400 {
		t.Errorf("reading under another name: %d", code)
	}
	if f.all() != "" {
		t.Errorf("did %q", f.all())
	}
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	csp := r.Header.Get("Content-Security-Policy")
	if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || !strings.Contains(csp, "frame-ancestors 'none'") {
		t.Errorf("policy %q", csp)
	}
}

func TestRefusesOddInput(t *testing.T) {
	_, url := started(t)
	c := browser(t)
	logIn(t, c, url)
	for path, body := range map[string]string{
		"/api/acknowledge":   `{}`, // which alarm?
		"/api/acknowledge?2": ``,
		"/api/shelve?4":      `{"minutes": 15, "reason": "x"}`,
		"/api/shelve":        `{"alarm": "7-1", "minutes": 1000000, "reason": "x"}`,
		"/api/shelve?2":      `{"alarm": "7-1", "minutes": 1, "reason": "x"}{}`,
		"/api/shelve?3":      `{"minutes": "1"}`,
		"/api/mark":          `{"text": ""}`,
		"/api/mark?2":        `{"text": "` + strings.Repeat("x", 300) + `"}`,
		"/api/mark?3":        `{"text": "a\u001b[2J"}`,
		"/api/labels":        `[]`,
		"/api/labels?2":      `[{"class": "odd"}]`,
		"/api/labels?3":      `[` + strings.Repeat(`{},`, 600) + `{}]`,
		"/api/labels?4":      strings.Repeat("[", 100_000),
		"/api/labels?5":      `"` + strings.Repeat("x", 300<<10) + `"`,
		"/api/labels?6":      `[{"class": "normal", "from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"}]`,
		"/api/labels?7":      `[{"class": "normal", "unknown": 1}]`,
		"/login":             `{"name": "", "password": "x"}`,
		"/login?2":           `{"name": "a\nb", "password": "x"}`,
		"/login?3":           `not JSON`,
		"/nothing?there":     `{}`,
	} {
		if code, text := do(t, c, "POST", url+path, body); code < 400 || code >= 500 {
			t.Errorf("%s %.60s: %d %s", path, body, code, text)
		}
	}
	for _, query := range []string{
		"timeline", "timeline?from=1&to=0", "timeline?from=0&to=9999999999", "samples?from=0&to=7200", "samples?from=NaN&to=1", "samples?from=-5&to=5",
		"samples?from=1e300&to=2e300", "picture", "picture?at=../../etc/passwd", "picture?at=0", "clip.tar?from=0&to=100000",
		"clip.tar?from=x&to=y",
	} {
		if code, text := do(t, c, "GET", url+"/api/"+query, ""); code < 400 || code >= 500 {
			t.Errorf("%s: %d %.100s", query, code, text)
		}
	}
	for _, path := range []string{"/static/../web.go", "/static/%2e%2e/web.go", "/static/..%2f..%2fgo.mod", "//etc/passwd"} {
		if code, text := do(t, c, "GET", url+path, ""); code == 200 && strings.Contains(text, "package") {
			t.Errorf("%s: %d", path, code)
		}
	}
}

// Passwords cannot be tried at any rate.
func TestWrongPasswordsAreLimited(t *testing.T) {
	_, url := started(t)
	c, limited := browser(t), 0
	for range maxTries + 3 {
		if code, _ := do(t, c, "POST", url+"/login", `{"name": "x", "password": "wrong"}`); code == http.StatusTooManyRequests {
			limited++
		}
	}
	if limited != 3 {
		t.Errorf("%d tries refused, want 3", limited)
	}
}

// From another machine nothing is seen without a log-in, and without a password there is
// no page.
func TestOtherMachinesMustLogIn(t *testing.T) {
	f := &furnace{folder: t.TempDir()}
	f.set("normal")
	log := slog.New(slog.DiscardHandler)
	if _, err := (&Server{Address: "192.0.2.1:8480", Source: f.source(), Log: log}).Handler(t.Context()); err == nil || !strings.Contains(err.Error(), "web.password_file") {
		t.Errorf("a page without a password: %v", err)
	}
	hash, err := Hash(password)
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Address: "0.0.0.0:0", PasswordHash: hash, Source: f.source(), Log: log}
	handler, err := s.Handler(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// The same handler on loopback: what counts is the configured address.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler} //nolint:gosec // a test's
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	url, c := "http://"+listener.Addr().String(), browser(t)
	for _, path := range []string{"/api/now", "/api/stream", "/api/view.jpg", "/api/config", "/api/labels", "/api/timeline?from=1&to=2", "/api/clip.tar?from=1&to=2"} {
		if code, text := do(t, c, "GET", url+path, ""); code != http.StatusUnauthorized {
			t.Errorf("%s: %d %.80s", path, code, text)
		}
	}
	logIn(t, c, url)
	if code, text := do(t, c, "GET", url+"/api/now", ""); code != 200 || !strings.Contains(text, `"user":"Li"`) {
		t.Errorf("after the log-in: %d %s", code, text)
	}
	if err := CheckHash([]byte(password)); err == nil {
		t.Error("a plain password passes as a hash")
	}
}
