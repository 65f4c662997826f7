package web

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"meltwatch/agent/compare"
	"meltwatch/agent/recorder"
)

// models is a comparer that a test drives.
type models struct {
	mu     sync.Mutex
	status Comparing
	last   *compare.Comparison
	did    []string
}

const candidateID = "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00"

func (m *models) Status() Comparing {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.status
	s.InForce = compare.Model{Name: "product", Version: "0.3.1", SHA256: "aa"}
	s.Candidates = []Candidate{
		{ID: candidateID, Name: "own", Version: "1.0.0", Origin: OriginFolder},
		{Name: "<b>odd</b>", Origin: OriginReceived, Fault: "current: the model needs 3 Hz"},
	}
	return s
}

func (m *models) Last() (*compare.Comparison, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.last, nil
}

func (m *models) Start(id, by string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case id != candidateID:
		return errors.New("candidate: no such model is on this box")
	case m.status.Running != nil:
		return errors.New("a comparison runs already")
	}
	m.did = append(m.did, "started by "+by)
	m.status = Comparing{Running: &RunningComparison{Candidate: Candidate{ID: id, Name: "own", Version: "1.0.0"}, By: by, Began: time.Now()}}
	return nil
}

func (m *models) Cancel(by string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.status.Running == nil {
		return errors.New("no comparison runs")
	}
	m.did = append(m.did, "cancelled by "+by)
	m.status = Comparing{Fault: "cancelled by " + by}
	return nil
}

// progress moves the comparison on.
func (m *models) progress(done, of int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.status.Running.Done, m.status.Running.Of = done, of
}

// end ends the comparison with a result.
func (m *models) end(c *compare.Comparison) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.status, m.last = Comparing{}, c
}

// Everybody who sees the page sees the result; who logs in starts and cancels. What the
// browser sends is a candidate's id, never a path.
func TestComparisonsOverHTTP(t *testing.T) {
	f, url := started(t)
	anybody, li := browser(t), browser(t)
	if status, text := do(t, anybody, "GET", url+"/api/comparison", ""); status != 200 || strings.TrimSpace(text) != "null" {
		t.Errorf("before the first: %d %s", status, text)
	}
	if status, text := do(t, anybody, "GET", url+"/api/compare", ""); status != 200 || !strings.Contains(text, candidateID) || strings.Contains(text, "<b>") {
		t.Errorf("status: %d %s", status, text)
	}
	for _, path := range []string{"/api/compare", "/api/compare/cancel"} {
		if status, _ := do(t, anybody, "POST", url+path, "{}"); status != http.StatusUnauthorized {
			t.Errorf("%s without a log-in: %d", path, status)
		}
	}
	logIn(t, li, url)
	for body, want := range map[string]int{
		"": 415, "[]": 400, "{}": 400, `{"candidate": 1}`: 400, `{"candidate": "x", "folder": "/etc"}`: 400, `{"candidate": "/etc"}`: 409,
		`{"candidate": "` + candidateID + `"} {}`: 400, fmt.Sprintf(`{"candidate": %q}`, strings.Repeat("x", 300<<10)): 400,
	} {
		if status, text := do(t, li, "POST", url+"/api/compare", body); status != want {
			t.Errorf("%.40s: %d %.200s, want %d", body, status, text, want)
		}
	}
	if status, _ := do(t, li, "POST", url+"/api/compare/cancel", "{}"); status != http.StatusConflict {
		t.Errorf("cancelled without one: %d", status)
	}
	ask := `{"candidate": "` + candidateID + `"}`
	if status, text := do(t, li, "POST", url+"/api/compare", ask); status != 200 || !strings.Contains(text, `"by":"Li"`) {
		t.Errorf("start: %d %s", status, text)
	}
	if status, text := do(t, li, "POST", url+"/api/compare", ask); status != http.StatusConflict {
		t.Errorf("a second one: %d %s", status, text)
	}
	if status, text := do(t, li, "POST", url+"/api/compare/cancel", "{}"); status != 200 || !strings.Contains(text, "cancelled by Li") {
		t.Errorf("cancel: %d %s", status, text)
	}
	if did := strings.Join(f.models.did, "; "); did != "started by Li; cancelled by Li" {
		t.Errorf("did %s", did)
	}
}

// result is a comparison in which one model misses what the other finds.
func (f *furnace) result() *compare.Comparison {
	at := func(n int) time.Time { return f.began.Add(time.Duration(n) * time.Second).UTC().Round(0) }
	labels := []recorder.Label{
		{ID: "1", Class: recorder.ClassAbnormal, From: at(50), To: at(80)}, {ID: "2", Class: recorder.ClassNormal, From: at(100), To: at(140)},
	}
	s := compare.NewScorer(labels)
	for n := range 200 {
		s.Add(at(n), true, false, n >= 60 && n < 80 || n == 120)
	}
	c := s.Result()
	c.Made, c.InForce, c.Candidate = time.Now().UTC(), compare.Model{Name: "product", Version: "0.3.1", SHA256: "aa"}, compare.Model{Name: "own", Version: "1.0.0", SHA256: candidateID}
	return c
}

// The page Models, by keyboard: start, progress, cancel, the result, and the way to a place
// where the two differ.
func TestModelsInABrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("a browser takes long under the race detector: left out by -short")
	}
	f := melting(t)
	url, stop := f.run(t, "127.0.0.1:0")
	defer func() { stop() }()
	b := openTab(t, url)
	b.until(30*time.Second, `document.getElementById("word").textContent === "NORMAL"`)
	b.visit("compare")
	b.until(10*time.Second, `document.getElementById("compare-force").textContent.includes("product 0.3.1") && document.getElementById("compare-made").textContent === "No comparison yet."`)
	b.until(10*time.Second, `document.querySelectorAll("#candidates tbody tr").length === 2 && document.querySelector("#candidates button").disabled && document.getElementById("candidates").textContent.includes("<b>odd</b>")`)
	b.logIn()
	b.visit("compare")
	b.until(10*time.Second, `document.querySelector("#candidates button") && !document.querySelector("#candidates button").disabled`)
	press := func(selector string) { b.run(chromedp.Focus(selector), chromedp.KeyEvent(kb.Enter)) }
	press("#candidates button")
	b.until(10*time.Second, `!document.getElementById("compare-cancel").hidden && document.getElementById("compare-status").textContent.includes("own 1.0.0 (c0ffee00) is being compared for Li: 0 %")`)
	f.models.progress(50, 200)
	b.until(10*time.Second, `document.getElementById("compare-status").textContent.includes("25 %") && document.getElementById("compare-bar").value === 0.25`)
	b.axe("compare, running")
	press("#compare-cancel")
	b.until(10*time.Second, `document.getElementById("compare-cancel").hidden && document.getElementById("compare-status").textContent.includes("cancelled by Li")`)
	press("#candidates button")
	b.until(10*time.Second, `!document.getElementById("compare-cancel").hidden`)
	f.models.progress(200, 200)
	f.models.end(f.result())
	b.until(10*time.Second, `!document.getElementById("compare-result").hidden && document.getElementById("compare-made").textContent.includes("own 1.0.0")`)
	var sums string
	b.run(chromedp.Text("#compare-sums", &sums))
	for _, want := range []string{"0 / 1\t1 / 1", "–, –\t10 s, 10 s", "0.00\t90.00"} {
		if !strings.Contains(sums, want) {
			t.Errorf("the sums lack %q: %q", want, sums)
		}
	}
	b.axe("compare")
	b.shoot("models", 1280, 900, "light")
	b.shoot("models-phone", 360, 780, "dark")
	var rows []string
	b.run(chromedp.Evaluate(`[...document.querySelectorAll("#compare-differences tbody tr")].map((r) => r.innerText)`, &rows))
	if len(rows) != 2 || !strings.Contains(rows[0], "20 s\tabnormal\tCandidate") || !strings.Contains(rows[1], "1 s\tnormal\tModel in force") {
		t.Errorf("differences %q", rows)
	}
	press("#compare-differences tbody a")
	b.until(10*time.Second, fmt.Sprintf(`!document.getElementById("page-back").hidden && location.hash.startsWith("#back?t=%d&")`, f.began.Add(60*time.Second).Round(time.Second).Unix()))
	b.quiet()
	if did := strings.Join(f.models.did, "; "); did != "started by Li; cancelled by Li; started by Li" {
		t.Errorf("did %s", did)
	}
}
