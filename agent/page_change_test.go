package agent

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"meltwatch/agent/message"
	"meltwatch/agent/settings"
	"meltwatch/agent/web"
	"meltwatch/config"
)

// visitor is a person at an agent's page.
type visitor struct {
	t       *testing.T
	client  http.Client
	address string
}

func (v *visitor) do(method, path string, body any) (int, string) {
	v.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		v.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(v.t.Context(), method, "http://"+v.address+path, strings.NewReader(string(text)))
	if err != nil {
		v.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := v.client.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	all, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, err.Error()
	}
	return answer.StatusCode, string(all)
}

// until waits for an answer that holds a text.
func (v *visitor) until(path, text string) string {
	v.t.Helper()
	for deadline := time.Now().Add(40 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		_, answer := v.do("GET", path, nil)
		if strings.Contains(answer, text) {
			return answer
		}
		if time.Now().After(deadline) {
			v.t.Fatalf("%s does not hold %s: %s", path, text, answer)
		}
	}
}

// A person changes the configuration on the page of a real agent without a broker: the
// change is on trial, is kept once confirmed, also over a restart, and each step is logged.
func TestConfigurationIsChangedOnThePage(t *testing.T) {
	t.Parallel()
	hash, err := web.Hash("a long password")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	password := filepath.Join(folder, "page.hash")
	writeFile(t, password, string(hash)+"\n", 0o600)
	v := &visitor{t: t, address: fmt.Sprintf("127.0.0.1:%d", freePort(t))}
	if v.client.Jar, err = cookiejar.New(nil); err != nil {
		t.Fatal(err)
	}
	text := strings.TrimSuffix(queueDocument(t, "tcp://127.0.0.1:1"), "}") + fmt.Sprintf(`, web: {listen: %q, password_file: %q}}`, v.address, password)
	file := filepath.Join(folder, "meltwatch.yaml")
	writeFile(t, file, text, 0o600)
	var log collectedLog
	start := func() (*Agent, func() error) {
		a, err := New(Source{Path: file, Document: []byte(text)}, hostEnv(t, slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		return a, runAgent(t, a)
	}
	a, stop := start()
	v.until("/api/configuration", `"revision":0`)
	logIn := func() {
		if code, text := v.do("POST", "/login", map[string]string{"name": "Li", "password": "a long password"}); code != http.StatusOK {
			t.Fatal(code, text)
		}
	}
	logIn()
	propose := func(change string) (int, string) {
		return v.do("POST", "/api/configuration/propose", map[string]string{"text": change, "over": a.manager.View().SHA256})
	}
	if code, text := propose("web: {listen: ''}"); code != http.StatusConflict || !strings.Contains(text, "web: can be set only in the box's own file") {
		t.Errorf("%d %s", code, text)
	}
	// recorder.enabled restarts the page's own server; nobody is logged out.
	if code, text := propose("camera: {delay: 1500ms}\nrecorder: {enabled: false}"); code != http.StatusOK {
		t.Fatalf("%d %s", code, text)
	}
	v.until("/api/configuration", `"trial":{"revision":1,"by":"Li"`)
	v.until("/api/now", `"recording":false`)
	if c := a.config.Load(); c.Camera.Delay != 1500*time.Millisecond || c.Recorder.Enabled {
		t.Errorf("%+v runs", c.Camera)
	}
	if code, text := v.do("POST", "/api/configuration/confirm", map[string]int{"revision": 1}); code != http.StatusOK {
		t.Fatalf("%d %s", code, text)
	}
	v.until("/api/configuration", `"status":"applied"`)
	if code, text := propose("state: {enter: 7}"); code != http.StatusConflict || !strings.Contains(text, "state.enter: 7 is out of bounds") {
		t.Errorf("%d %s", code, text)
	}
	if code, text := propose("camera: {delay: 2s}"); code != http.StatusOK {
		t.Fatalf("%d %s", code, text)
	}
	if code, text := v.do("POST", "/api/configuration/withdraw", map[string]int{"revision": 2}); code != http.StatusOK {
		t.Fatalf("%d %s", code, text)
	}
	v.until("/api/configuration", `"status":"rolled_back"`)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	a, _ = start()
	v.until("/api/configuration", `"from":"page","by":"Li"`)
	if c := a.config.Load(); c.Camera.Delay != 1500*time.Millisecond {
		t.Errorf("delay %s after the restart", c.Camera.Delay)
	}
	for _, line := range []string{"status=applied revision=1 from=page", "status=rolled_back revision=2 from=page"} {
		if !log.holds(line) {
			t.Errorf("the log does not hold %q", line)
		}
	}
}

// A delay of the camera concerns the decision alone: the stream stays open.
func TestDelayDoesNotOpenTheCameraAgain(t *testing.T) {
	before := config.Default()
	after := before
	after.Camera.Delay = 2 * time.Second
	if reflect.DeepEqual(settings.DecisionSection(before), settings.DecisionSection(after)) {
		t.Error("the decision does not take it over")
	}
	if cameraSection(before) != cameraSection(after) {
		t.Error("the camera is opened again")
	}
}

// With every part real: a crop from the page opens the camera anew, and the report at the
// broker names who did it; a document that comes meanwhile is refused with the reason, and
// examined once the trial has ended. A crop that the picture does not hold is undone.
func TestCropFromThePageWithEveryPartReal(t *testing.T) {
	long(t)
	t.Parallel()
	p := newPlant(t, working(), ", remote: {deadline: 20s}")
	p.healthy()
	page := pageChanger{p.agent.manager, p.agent.reporter.Event}
	before := p.agent.pageCrop()
	propose := func(x int) {
		t.Helper()
		change := json.RawMessage(fmt.Sprintf(`{"camera": {"crop": {"x": %d}}}`, x))
		if faults := page.Propose(t.Context(), "Li", page.Configuration().SHA256, change); len(faults) > 0 {
			t.Fatal(faults)
		}
	}
	began := time.Now()
	propose(before.X - 8)
	p.desire(`{"revision": 9, "config": {"state": {"hold_seconds": 12}}}`)
	if r := p.reported(began); r.Status != message.Rejected || r.Revision != 9 || !strings.Contains(r.Errors[0].Message, "Li made on the box's page") {
		t.Errorf("a document meanwhile: %+v", r)
	}
	p.within(20*time.Second, "video with the new crop", func(s message.State) bool { return s.Senses.Video == "ok" })
	began = time.Now()
	if faults := page.Confirm(1, "Li"); len(faults) > 0 {
		t.Fatal(faults)
	}
	if got := p.agent.pageCrop(); got.X != before.X-8 || got.Width != before.Width {
		t.Errorf("crop %+v, before %+v", got, before)
	}
	p.until("the event that it is kept", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return slices.ContainsFunc(p.events, func(e message.Event) bool {
			return e.Kind == "config" && e.Subject == "page" && e.To == "applied 1" && e.Cause == "by Li"
		})
	})
	// Then the document is examined: it replaces the page's patch.
	for r := p.reported(began); r.Revision != 9; r = p.reported(r.Time) {
		t.Logf("%+v", r)
	}
	if c := p.agent.config.Load(); c.State.HoldSeconds != 12 || c.Camera.Crop.X != before.X {
		t.Errorf("after the desk's document: %+v, hold %d", c.Camera.Crop, c.State.HoldSeconds)
	}
	began = time.Now()
	propose(16_000)
	if r := p.reported(began); r.Status != message.RolledBack || r.Revision != 10 || r.RunningRevision != 9 || !at(r, "camera.url") {
		t.Errorf("a crop outside the picture: %+v", r)
	}
	p.within(20*time.Second, "video with the crop before", func(s message.State) bool { return s.Senses.Video == "ok" })
}

// What the page shows, and what a comparison gets, holds no password that release 0.3.0
// accepted in a URL.
func TestConfigurationInForceHoldsNoSecret(t *testing.T) {
	c := config.Default()
	c.Camera.URL = "rtsp://camera/stream?password=hunter2"
	var a Agent
	a.config.Store(&c)
	text, err := a.configInForce()
	if err != nil || strings.Contains(text, "hunter2") || !strings.Contains(text, "rtsp://camera/") {
		t.Errorf("%v\n%s", err, text)
	}
	if a.config.Load().Camera.URL != "rtsp://camera/stream?password=hunter2" {
		t.Error("the configuration in force has changed")
	}
}
