package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// A change of state reaches an open page within two seconds; slow and many pages do not
// hold it up.
func TestStreamShowsChangesAtOnce(t *testing.T) {
	f, url := started(t)
	for range 8 { // clients that never read
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		fmt.Fprintf(conn, "GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
	}
	r, err := http.Get(url + "/api/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	time.Sleep(time.Second)
	f.set("abnormal")
	changed := time.Now()
	buffer := make([]byte, 64<<10)
	for {
		n, err := r.Body.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(buffer[:n], []byte(`"state":"abnormal"`)) {
			break
		}
		if time.Since(changed) > 10*time.Second {
			t.Fatal("the change never came")
		}
	}
	if took := time.Since(changed); took > 2*time.Second {
		t.Errorf("the change came after %s", took)
	}
}

// Too many pages and connections are refused; afterwards everything works.
func TestManyConnections(t *testing.T) {
	f, url := started(t)
	address := strings.TrimPrefix(url, "http://")
	var open []net.Conn
	for range 1000 {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err != nil {
			break // the queue of the kernel is full
		}
		open = append(open, conn)
		fmt.Fprintf(conn, "GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
	}
	t.Logf("%d connections", len(open))
	f.set("warming") // the watch goes on
	for _, conn := range open {
		conn.Close()
	}
	c := browser(t)
	for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		r, err := http.NewRequestWithContext(t.Context(), "GET", url+"/api/now", nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := c.Do(r)
		if err == nil {
			answer.Body.Close()
			if answer.StatusCode == 200 {
				break
			}
		}
		if time.Since(began) > 30*time.Second {
			t.Fatalf("the page does not come back: %v", err)
		}
	}
}

// Both languages have every word that the page uses, and no other.
func TestLanguagesAreComplete(t *testing.T) {
	words := map[string]map[string]string{}
	for _, language := range []string{"en", "zh"} {
		text, err := static.ReadFile("static/lang/" + language + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var w map[string]string
		if err := json.Unmarshal(text, &w); err != nil {
			t.Fatalf("%s: %v", language, err)
		}
		words[language] = w
	}
	for key, text := range words["en"] {
		if words["zh"][key] == "" || text == "" {
			t.Errorf("%q is missing in Chinese or English", key)
		}
		if en, zh := placeholders(text), placeholders(words["zh"][key]); !slices.Equal(en, zh) {
			t.Errorf("%q has the places %q in English, %q in Chinese", key, en, zh)
		}
	}
	for key := range words["zh"] {
		if words["en"][key] == "" {
			t.Errorf("%q is missing in English", key)
		}
	}
	html, err := static.ReadFile("static/index.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, attribute := range []string{`data-t="`, `data-t-label="`} {
		for _, rest := range strings.Split(string(html), attribute)[1:] {
			key, _, _ := strings.Cut(rest, `"`)
			if words["en"][key] == "" {
				t.Errorf("index.html uses %q, which no language has", key)
			}
		}
	}
	for _, state := range []string{"off", "warming", "normal", "abnormal", "suspected", "unknown"} {
		if words["en"]["state_"+state] == "" || words["en"]["advice_"+state] == "" {
			t.Errorf("state %s has no word, or no advice", state)
		}
	}
	scripts, err := static.ReadDir("static")
	if err != nil {
		t.Fatal(err)
	}
	for _, script := range scripts {
		text, _ := static.ReadFile("static/" + script.Name()) // a folder has no text
		for _, use := range regexp.MustCompile(`\bwords\.(\w+)`).FindAllStringSubmatch(string(text), -1) {
			if words["en"][use[1]] == "" {
				t.Errorf("%s uses %q, which no language has", script.Name(), use[1])
			}
		}
	}
}

// placeholders are the places in a text that the page fills.
func placeholders(text string) []string {
	all := regexp.MustCompile(`\{\w+\}`).FindAllString(text, -1)
	slices.Sort(all)
	return all
}

func TestPageIsSmall(t *testing.T) {
	total := 0
	for _, name := range []string{"index.html", "style.css", "app.js", "page.js", "trial.js", "now.js", "back.js", "labels.js", "review.js", "compare.js", "setup.js", "lang/zh.json", "icon.svg", "vendor/uPlot.iife.min.js", "vendor/uPlot.min.css"} {
		text, err := static.ReadFile("static/" + name)
		if err != nil {
			if strings.HasPrefix(name, "vendor") {
				t.Logf("%s is not in this build", name)
				continue
			}
			t.Fatal(err)
		}
		total += len(text)
	}
	if total > 150<<10 {
		t.Errorf("the page is %d bytes, want at most 150 KiB", total)
	}
	t.Logf("%d bytes", total)
}

// FuzzLabels checks that no body of a request panics, and that what is accepted can be
// read again.
func FuzzLabels(f *testing.F) {
	f.Add([]byte(`[{"class": "normal", "from": "2026-01-01T00:00:00Z", "to": "2026-01-01T01:00:00Z"}]`))
	f.Add([]byte(`[{"id": "x", "removed": true}]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		source := (&furnace{folder: t.TempDir()}).source()
		p := &page{Source: source, sessions: newSessions(nil)}
		w := httptest.NewRecorder()
		p.putLabels(w, httptest.NewRequest("POST", "/api/labels", bytes.NewReader(body)))
		all, err := source.Labels.All()
		if err != nil || w.Code == 200 && bytes.Contains(body, []byte(`"class"`)) && !bytes.Contains(body, []byte("removed")) && len(all) == 0 {
			t.Errorf("%d; %d labels, %v", w.Code, len(all), err)
		}
	})
}

func FuzzInstant(f *testing.F) {
	for _, text := range []string{"0", "1e10", "2026-11-28T13:40:00Z", "NaN", "-1", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if at, err := instant(text); err == nil && (at.Year() < 0 || at.Year() > 9999) {
			t.Errorf("%q is %s", text, at)
		}
	})
}
