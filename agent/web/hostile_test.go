package web

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"meltwatch/agent/message"
	"meltwatch/drivers"
)

// Many clients together try no more passwords than one, and the right one counts again
// after a minute only.
func TestPasswordsAreTriedOneAtATime(t *testing.T) {
	_, url := started(t)
	var mu sync.Mutex
	codes := map[int]int{}
	var clients sync.WaitGroup
	for range 40 {
		clients.Go(func() {
			r, err := http.Post(url+"/login", "application/json", strings.NewReader(`{"name": "x", "password": "wrong"}`))
			if err != nil {
				t.Error(err)
				return
			}
			r.Body.Close()
			mu.Lock()
			defer mu.Unlock()
			codes[r.StatusCode]++
		})
	}
	clients.Wait()
	if codes[http.StatusForbidden] != maxTries || codes[http.StatusTooManyRequests] != 40-maxTries {
		t.Errorf("answers %v, want %d tries", codes, maxTries)
	}
}

// Behind a proxy that speaks TLS the cookie is for TLS alone.
func TestCookieBehindAProxy(t *testing.T) {
	_, url := started(t)
	for proto, secure := range map[string]bool{"https": true, "http": false, "": false} {
		r, err := http.NewRequestWithContext(t.Context(), "POST", url+"/login", strings.NewReader(`{"name": "Li", "password": "`+password+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		if proto != "" {
			r.Header.Set("X-Forwarded-Proto", proto)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if c := answer.Cookies(); len(c) != 1 || c[0].Secure != secure || !c[0].HttpOnly || c[0].SameSite != http.SameSiteStrictMode {
			t.Errorf("%q: %v", proto, c)
		}
	}
}

// A stream that was opened by somebody ends with the session: it shows nothing further,
// and nobody's name.
func TestStreamEndsWithTheSession(t *testing.T) {
	_, url := started(t)
	c := browser(t)
	c.Timeout = 0
	logIn(t, c, url)
	r, err := c.Get(url + "/api/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	in := bufio.NewReader(r.Body)
	if line, err := in.ReadString('\n'); err != nil || !strings.Contains(line, `"user":"Li"`) {
		t.Fatalf("%s, %v", line, err)
	}
	if code, _ := do(t, c, "POST", url+"/logout", `{}`); code != 200 {
		t.Fatal(code)
	}
	ended := make(chan error, 1)
	go func() { _, err := io.Copy(io.Discard, in); ended <- err }()
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Error("the stream goes on after the log-out")
	}
}

// Clients that ask for large answers and never read them are cut off, and others come in.
func TestClientsThatNeverReadAreCutOff(t *testing.T) {
	f := &furnace{folder: t.TempDir()}
	f.set("normal")
	handler, err := (&Server{Address: "127.0.0.1:0", Source: f.source(), Log: slog.New(slog.DiscardHandler)}).Handler(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(handler)
	server.Config = newServer(handler, slog.New(slog.DiscardHandler))
	if server.Config.WriteTimeout == 0 || server.Config.ReadTimeout == 0 || server.Config.ReadHeaderTimeout == 0 || server.Config.IdleTimeout == 0 {
		t.Fatalf("a time is not bounded: %+v", server.Config)
	}
	server.Config.WriteTimeout = 300 * time.Millisecond
	server.Start()
	defer server.Close()
	for n := range maxLive {
		f.live.Sample(time.Now().Add(time.Duration(n)*time.Millisecond), drivers.Sample{Current: [3]float64{15000.123, 15000.456, 15000.789}})
	}
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.(*net.TCPConn).SetReadBuffer(4096)
	for range 200 { // more than the kernel's buffers hold
		fmt.Fprintf(conn, "GET /api/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
	}
	time.Sleep(2 * time.Second)
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	n, err := io.Copy(io.Discard, conn)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the connection stays open after %d bytes", n)
	}
}

// The last minutes stay bounded and cheap at a hundred readings a second, and go on when
// the clock is put back.
func TestLiveAtAnyRate(t *testing.T) {
	var l Live
	at := time.Date(2026, 11, 28, 13, 0, 0, 0, time.UTC)
	feed := func(n int) {
		for range n {
			at = at.Add(10 * time.Millisecond)
			l.Sample(at, drivers.Sample{Current: [3]float64{1, 2, 3}})
		}
	}
	feed(100_000)
	if n := len(l.samples); n < maxLive || n > maxLive+1000 {
		t.Errorf("%d readings are kept", n)
	}
	if copied := testing.AllocsPerRun(1, func() { feed(10_000) }); copied > 100 {
		t.Errorf("%.0f copies for 10,000 readings", copied)
	}
	l.Sample(at, drivers.Sample{Current: [3]float64{math.NaN(), 0, 0}})
	l.Sample(at, drivers.Sample{Current: [3]float64{0, math.Inf(1), 0}})
	at = at.Add(-time.Hour)
	feed(10)
	l.State(message.State{Stamp: message.Stamp{Time: at}})
	points, states := l.since(0)
	if len(points) != 10 || len(states) != 1 {
		t.Errorf("%d readings, %d verdicts after the clock was put back", len(points), len(states))
	}
	for i, p := range points {
		if p.A != 1 || i > 0 && p.T <= points[i-1].T {
			t.Errorf("reading %d: %+v", i, p)
		}
	}
}
