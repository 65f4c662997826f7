package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"meltwatch/agent/message"
	"meltwatch/simulator/broker"
)

// dashAt serves the page of a broker and returns its address.
func dashAt(t *testing.T, url string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	listening, ended := make(chan net.Addr, 1), make(chan error, 1)
	go func() {
		ended <- Fleet{Broker: Broker{URL: url, Wait: time.Second}}.Dash(ctx, "127.0.0.1:0", func(a net.Addr) { listening <- a })
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Dash: %v", err)
		}
	})
	return "http://" + (<-listening).String()
}

func fleetOf(t *testing.T, page string) (v view) {
	t.Helper()
	answer, err := http.Get(page + "/api/fleet")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// Alarms come first, whatever the broker holds is shown as text, and a box that is away
// keeps its alarm.
func TestDashShowsAlarmsFirst(t *testing.T) {
	server, url, err := broker.Local()
	if err != nil {
		t.Fatal(err)
	}
	closeBroker := sync.OnceFunc(func() { server.Close() })
	t.Cleanup(closeBroker)
	retain(t, server, "p/gone", message.TopicAvailability, message.Offline)
	retain(t, server, "p/held", message.TopicAvailability, message.Online)
	retain(t, server, "p/held", message.TopicState, `{"state": "abnormal", "held": true}`)
	retain(t, server, "p/calm", message.TopicAvailability, message.Online)
	retain(t, server, "p/calm", message.TopicState, `{"state": "normal", "since": "2026-11-28T13:00:00Z"}`)
	retain(t, server, "p/ill", message.TopicAvailability, message.Online)
	retain(t, server, "p/ill", message.TopicState, `{"state": "off"}`)
	retain(t, server, "p/ill", message.TopicHealth, `{"agent": "1", "parts": {"camera": {"status": "fault", "last_error": "no route"}}}`)
	retain(t, server, "p/seen", message.TopicAvailability, message.Online)
	retain(t, server, "p/seen", message.TopicState, `{"state": "abnormal", "since": "2026-11-28T13:00:00.5Z"}`)
	retain(t, server, "p/seen", message.TopicAlarm, `{"id": "1-2", "phase": "acknowledged", "raised": "2026-11-28T13:00:00.5Z", "summary": "<script>alert(1)</script>"}`)
	// The alarm that was seen is an earlier one: the newest was too large for the broker.
	retain(t, server, "p/another", message.TopicState, `{"state": "abnormal", "since": "2026-11-28T14:00:00Z"}`)
	retain(t, server, "p/another", message.TopicAlarm, `{"id": "1-2", "phase": "shelved", "raised": "2026-11-28T13:00:00Z"}`)
	// Payloads of other types hide neither their own alarm nor other furnaces.
	retain(t, server, "p/mad", message.TopicState, `{"since": [], "state": "abnormal", "senses": 3, "model": null, "p_mean": "x", "held": {}}`)
	retain(t, server, "p/mad", message.TopicAlarm, `{"phase": 7, "raised": {}, "summary": [], "acknowledged": "Li", "shelved": [1]}`)
	retain(t, server, "p/mad", message.TopicHealth, `{"agent": "1", "parts": {"camera": null, "mqtt": 3, "model": {"status": []}}}`)
	retain(t, server, "p/odd", message.TopicState, `no JSON`)
	retain(t, server, "p/odd", message.TopicAlarm, `"text"`)
	retain(t, server, "p/odd", message.TopicHealth, `[null]`)
	retain(t, server, "p/away", message.TopicAvailability, message.Offline)
	retain(t, server, "p/away", message.TopicState, `{"state": "abnormal", "held": true}`)
	retain(t, server, "p/early", message.TopicAvailability, message.Online)
	retain(t, server, "p/early", message.TopicState, `{"state": "normal", "since": "2026-11-28T12:00:00Z", "level": "suspected", "level_since": "2026-11-28T13:00:00Z"}`)
	retain(t, server, "p/early", message.TopicSuspicion, `{"id": "1-3", "phase": "raised", "raised": "2026-11-28T13:00:00Z", "summary": "An early warning."}`)
	retain(t, server, "p/quiet", message.TopicAvailability, message.Online)
	retain(t, server, "p/quiet", message.TopicState, `{"state": "normal", "level": "suspected", "level_since": "2026-11-28T13:00:00Z"}`)
	retain(t, server, "p/quiet", message.TopicSuspicion, `{"id": "1-4", "phase": "acknowledged", "raised": "2026-11-28T13:00:00Z", "acknowledged": {"by": "Li"}}`)
	page := dashAt(t, url)
	order := func() string {
		var names []string
		for _, f := range fleetOf(t, page).Furnaces {
			names = append(names, f.Agent)
		}
		return strings.Join(names, " ")
	}
	want := "p/another p/away p/held p/mad p/seen p/early p/gone p/odd p/ill p/calm p/quiet"
	for began := time.Now(); order() != want; time.Sleep(50 * time.Millisecond) {
		if time.Since(began) > 10*time.Second {
			t.Fatalf("furnaces %s, want %s", order(), want)
		}
	}
	// Another name, such as a foreign site's, is refused.
	r, err := http.NewRequestWithContext(t.Context(), "GET", page+"/api/fleet", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "evil.example"
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode < 400 {
		t.Errorf("another name: %s", answer.Status)
	}
	for _, address := range []string{"0.0.0.0:0", "192.0.2.1:80", ":80", "x"} {
		if err := (Fleet{Broker: Broker{URL: url}}).Dash(t.Context(), address, nil); err == nil || !strings.Contains(err.Error(), "--listen") {
			t.Errorf("%s: %v", address, err)
		}
	}

	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("SKIPPED, no chromium to show the page in: apt-get install chromium")
	}
	if testing.Short() {
		t.Skip("a browser takes long under the race detector: left out by -short")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.WSURLReadTimeout(90*time.Second))
	allocator, stop := chromedp.NewExecAllocator(t.Context(), options...)
	defer stop()
	ctx, closeTab := chromedp.NewContext(allocator, chromedp.WithErrorf(func(string, ...any) {}))
	defer closeTab()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	until := func(expression string) {
		t.Helper()
		for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
			var ok bool
			if err := chromedp.Run(ctx, chromedp.Evaluate(fmt.Sprintf("(() => { try { return Boolean(%s); } catch { return false; } })()", expression), &ok)); err != nil {
				t.Fatal(err)
			}
			if ok {
				return
			}
			if time.Since(began) > 20*time.Second {
				t.Fatalf("not within 20 s: %s", expression)
			}
		}
	}
	if err := chromedp.Run(ctx, chromedp.Navigate(page)); err != nil {
		t.Fatal(err)
	}
	until(`document.querySelectorAll("#furnaces button").length === 11 && document.querySelector("#furnaces button").dataset.agent === "p/another"`)
	until(`document.querySelector('[data-agent="p/early"] strong').textContent === "◆ SUSPECTED" && document.querySelector('[data-agent="p/early"]').textContent.includes("go and look") && document.getElementById("summary").textContent.includes("2 suspected")`)
	retain(t, server, "p/calm", message.TopicState, `{"state": "abnormal"}`)
	until(`document.querySelector('[data-agent="p/calm"] strong').textContent.includes("ABNORMAL") && [...document.querySelectorAll("#furnaces button")].findIndex((b) => b.dataset.agent === "p/calm") === 2`)
	if err := chromedp.Run(ctx, chromedp.Click(`[data-agent="p/seen"]`)); err != nil {
		t.Fatal(err)
	}
	until(`document.getElementById("detail").open && document.getElementById("detail-summary").textContent === "<script>alert(1)</script>"`)
	closeBroker()
	until(`!document.getElementById("fault").hidden`)
}
