package web

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// kept is a password file.
type kept struct {
	mu    sync.Mutex
	hash  []byte
	err   error
	reads int
}

func (k *kept) read() ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.reads++
	return k.hash, k.err
}

func (k *kept) set(t *testing.T, password string, err error) {
	t.Helper()
	hash, wrong := Hash(password)
	if wrong != nil {
		t.Fatal(wrong)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.hash, k.err = hash, err
}

// told is an observer that keeps the last fault.
type told struct {
	nothing
	mu    sync.Mutex
	fault error
}

func (o *told) Fault(err error) { o.mu.Lock(); o.fault = err; o.mu.Unlock() }
func (o *told) OK()             { o.Fault(nil) }
func (o *told) now() error      { o.mu.Lock(); defer o.mu.Unlock(); return o.fault }

func enter(t *testing.T, c *http.Client, url, password string) int {
	t.Helper()
	code, _ := do(t, c, "POST", url+"/login", `{"name": "Li", "password": "`+password+`"}`)
	return code
}

func user(t *testing.T, c *http.Client, url string) bool {
	t.Helper()
	_, text := do(t, c, "GET", url+"/api/now", "")
	return strings.Contains(text, `"user":"Li"`)
}

// A new password counts at the next log-in, and the sessions of the old one end: by then, or
// by themselves within seconds. Without a valid file nobody is logged in, and health says so.
func TestNewPasswordCountsAtTheNextLogIn(t *testing.T) {
	f := &furnace{folder: t.TempDir()}
	f.set("normal")
	file, seen, listening := &kept{}, &told{}, make(chan net.Addr, 1)
	file.set(t, "first", nil)
	hash, err := file.read()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	s := &Server{Address: "127.0.0.1:0", PasswordHash: hash, Reread: file.read, Source: f.source(), Log: slog.New(slog.DiscardHandler), Observer: seen,
		Listening: func(a net.Addr) { listening <- a }}
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	url := "http://" + (<-listening).String()
	first, second := browser(t), browser(t)
	if enter(t, first, url, "first") != 200 || !user(t, first, url) {
		t.Fatal("the first password does not count")
	}
	file.set(t, "second", nil)
	if code := enter(t, second, url, "first"); code != http.StatusForbidden {
		t.Errorf("the old password: %d", code)
	}
	if enter(t, second, url, "second") != 200 || !user(t, second, url) || user(t, first, url) {
		t.Errorf("second logged in %t, first still %t", user(t, second, url), user(t, first, url))
	}
	within := func(what string, ok func() bool) {
		t.Helper()
		for began := time.Now(); !ok(); time.Sleep(50 * time.Millisecond) {
			if time.Since(began) > 15*time.Second {
				t.Fatalf("not within 15 s: %s", what)
			}
		}
	}
	file.set(t, "third", nil)
	within("the session of the second password ends", func() bool { return !user(t, second, url) })
	if enter(t, first, url, "third") != 200 {
		t.Error("the third password does not count")
	}
	file.set(t, "third", errors.New("web.password_file: gone"))
	if code, text := do(t, second, "POST", url+"/login", `{"name": "Li", "password": "third"}`); code != http.StatusForbidden || !strings.Contains(text, "web.password_file") || user(t, first, url) {
		t.Errorf("without a file: %d %s, first logged in %t", code, text, user(t, first, url))
	}
	within("health tells it", func() bool { return seen.now() != nil && strings.Contains(seen.now().Error(), "gone") })
	file.set(t, "third", nil)
	if enter(t, second, url, "third") != 200 {
		t.Error("the file is back, and does not count")
	}
	within("health is well again", func() bool { return seen.now() == nil })
}

// Wrong passwords do not read the file at any rate.
func TestPasswordFileIsReadWithinTheBounds(t *testing.T) {
	f, file := &furnace{folder: t.TempDir()}, &kept{}
	f.set("normal")
	file.set(t, "first", nil)
	hash, err := file.read()
	if err != nil {
		t.Fatal(err)
	}
	sessions := newSessions(nil)
	sessions.use(hash, file.read)
	before := file.reads
	for range 50 {
		if _, err := sessions.try(t.Context(), "Li", "wrong"); err == nil {
			t.Fatal("a wrong password counts")
		}
	}
	if n := file.reads - before; n > maxTries {
		t.Errorf("read %d times for 50 wrong passwords", n)
	}
}

// Sessions outlive the server, unless the password differs.
func TestSessionsOutliveTheServer(t *testing.T) {
	file := &kept{}
	file.set(t, "first", nil)
	sessions := NewSessions()
	sessions.use(file.hash, file.read)
	token, err := sessions.try(t.Context(), "Li", "first")
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequest("GET", "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.AddCookie(&http.Cookie{Name: cookieName, Value: token})
	sessions.use(file.hash, file.read)
	if name, ok := sessions.of(r); !ok || name != "Li" {
		t.Error("logged out by the next server")
	}
	file.set(t, "second", nil)
	sessions.use(file.hash, file.read)
	if _, ok := sessions.of(r); ok {
		t.Error("still logged in with another password")
	}
}
