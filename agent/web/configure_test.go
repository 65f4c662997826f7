package web

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"meltwatch/agent/message"
	"meltwatch/config"
)

// box is a configuration that changes on trial, as the agent's does.
type box struct {
	mu       sync.Mutex
	document string // the box's own file
	patch    json.RawMessage
	before   json.RawMessage
	revision int64
	by       string
	until    time.Time // of the trial, zero without one
	lasts    time.Duration
	closed   []message.Fault
	outcome  *Outcome
	did      []string
}

const boxDocument = `{site: plant-1, furnace: f07, meters: {main: {url: "tcp://127.0.0.1:502", fields: {
current_a: {address: 0}, current_b: {address: 2}, current_c: {address: 4}, set_point: {address: 6}}}},
camera: {url: "rtsp://127.0.0.1/x", crop: {x: 0, y: 0, width: 512, height: 512}}, mqtt: {broker: "tcp://127.0.0.1:1883"}}`

func newBox() *box { return &box{document: boxDocument, lasts: 2 * time.Minute} }

// settle rolls a trial back whose time is over. The lock is held.
func (b *box) settle() {
	if !b.until.IsZero() && time.Now().After(b.until) {
		b.end(message.RolledBack, message.OneFault("", "was not confirmed on the page"))
		b.patch = b.before
	}
}

func (b *box) end(status string, faults []message.Fault) {
	b.until, b.outcome = time.Time{}, &Outcome{b.revision, status, faults}
}

func (b *box) running() (config.Config, error) {
	return config.Merged([]byte(b.document), b.patch)
}

func (b *box) Configuration() Configuration {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.settle()
	now, err := b.running()
	if err != nil {
		panic(err)
	}
	c := Configuration{SHA256: config.Digest(now), Revision: b.revision, From: "page", By: b.by, DelayS: now.Camera.Delay.Seconds(), Closed: b.closed, Outcome: b.outcome}
	if !b.until.IsZero() {
		c.Trial = &Trial{b.revision, b.by, time.Until(b.until).Seconds()}
	}
	return c
}

func (b *box) Preview(change json.RawMessage) ([]config.Difference, []message.Fault) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.closed) > 0 {
		return nil, b.closed
	}
	_, differences, err := b.changed(change)
	if err != nil {
		return nil, message.OneFault("", err.Error())
	}
	return differences, nil
}

func (b *box) changed(change json.RawMessage) (json.RawMessage, []config.Difference, error) {
	patch, err := config.Composed([]byte(b.document), b.patch, change)
	if err != nil {
		return nil, nil, err
	}
	now, err := b.running()
	if err != nil {
		return nil, nil, err
	}
	wanted, err := config.Merged([]byte(b.document), patch)
	if err != nil {
		return nil, nil, err
	}
	differences, err := config.Differences(now, wanted)
	return patch, differences, err
}

func (b *box) Propose(_ context.Context, by, over string, change json.RawMessage) []message.Fault {
	current := b.Configuration().SHA256
	b.mu.Lock()
	defer b.mu.Unlock()
	patch, _, err := b.changed(change)
	switch {
	case len(b.closed) > 0:
		return b.closed
	case err != nil:
		return message.OneFault("", err.Error())
	case over != current:
		return message.OneFault("", "the configuration has changed meanwhile")
	case !b.until.IsZero():
		return message.OneFault("", "revision 1 from the page, by "+b.by+", is on trial")
	}
	b.before, b.patch, b.by, b.until = b.patch, patch, by, time.Now().Add(b.lasts)
	b.revision++
	b.did = append(b.did, by+" proposed "+string(change))
	return nil
}

func (b *box) Confirm(revision int64, by string) []message.Fault {
	return b.decide(revision, message.Applied, nil)
}

func (b *box) Withdraw(revision int64, by string) []message.Fault {
	return b.decide(revision, message.RolledBack, message.OneFault("", "was withdrawn on the page"))
}

func (b *box) decide(revision int64, status string, faults []message.Fault) []message.Fault {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.settle()
	if b.until.IsZero() || revision != b.revision {
		return message.OneFault("revision", "is not on trial any more")
	}
	b.end(status, faults)
	if status == message.RolledBack {
		b.patch = b.before
	}
	return nil
}

// patched is what was changed of the box's own file.
func (b *box) patched() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.settle()
	return string(b.patch)
}

// withBox serves a furnace whose configuration changes.
func withBox(t *testing.T, b *box) (url string) {
	t.Helper()
	f := &furnace{folder: t.TempDir()}
	f.set("normal")
	source := f.source()
	source.Changer = b
	hash, err := Hash(password)
	if err != nil {
		t.Fatal(err)
	}
	handler, err := (&Server{Address: "127.0.0.1:0", PasswordHash: hash, Source: source, Log: slog.New(slog.DiscardHandler)}).Handler(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

func body(t *testing.T, fields map[string]any) string {
	t.Helper()
	text, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestConfigurationIsChangedOnTrial(t *testing.T) {
	b := newBox()
	url, c := withBox(t, b), browser(t)
	const crop = "camera:\n  crop: {x: 8, y: 16}\n"
	api := url + "/api/configuration"
	for _, path := range []string{"/preview", "/propose", "/confirm", "/withdraw"} {
		if code, text := do(t, c, "POST", api+path, `{}`); code != http.StatusUnauthorized || !strings.Contains(text, "log in") {
			t.Errorf("%s without a log-in: %d %s", path, code, text)
		}
	}
	logIn(t, c, url)
	for _, header := range [][]string{{"Origin", "http://evil.example"}, {"Sec-Fetch-Site", "cross-site"}, {"Host", "evil.example"}, {"Content-Type", "text/plain"}} {
		if code, _ := do(t, c, "POST", api+"/propose", body(t, map[string]any{"text": crop, "over": b.Configuration().SHA256}), header...); code < 400 {
			t.Errorf("%v: %d", header, code)
		}
	}
	var previewed struct {
		Differences []config.Difference
		Over        string
	}
	code, text := do(t, c, "POST", api+"/preview", body(t, map[string]any{"text": crop}))
	if err := json.Unmarshal([]byte(text), &previewed); err != nil || code != 200 || len(previewed.Differences) != 2 || previewed.Differences[1] != (config.Difference{Key: "camera.crop.y", Before: "0", After: "16"}) {
		t.Fatalf("preview: %d %s, %v", code, text, err)
	}
	if b.patched() != "" {
		t.Error("a preview changes something")
	}
	if code, text := do(t, c, "POST", api+"/propose", body(t, map[string]any{"text": crop, "over": "another"})); code != http.StatusConflict || !strings.Contains(text, "meanwhile") {
		t.Errorf("over another configuration: %d %s", code, text)
	}
	var now Configuration
	code, text = do(t, c, "POST", api+"/propose", body(t, map[string]any{"text": crop, "over": previewed.Over}))
	if err := json.Unmarshal([]byte(text), &now); err != nil || code != 200 || now.Trial == nil || now.Trial.By != "Li" || now.Trial.LeftS < 100 {
		t.Fatalf("propose: %d %s, %v", code, text, err)
	}
	if code, text := do(t, c, "GET", url+"/api/now", ""); code != 200 || !strings.Contains(text, `"trial":{"revision":1,"by":"Li"`) {
		t.Errorf("now: %d %s", code, text)
	}
	if code, text := do(t, c, "POST", api+"/propose", body(t, map[string]any{"text": "state: {hold_seconds: 9}", "over": now.SHA256})); code != http.StatusConflict || !strings.Contains(text, "on trial") {
		t.Errorf("a second one: %d %s", code, text)
	}
	if code, _ := do(t, c, "POST", api+"/confirm", `{"revision": 7}`); code != http.StatusConflict {
		t.Errorf("another revision is confirmed: %d", code)
	}
	if code, text := do(t, c, "POST", api+"/confirm", `{"revision": 1}`); code != 200 || strings.Contains(text, `"trial"`) {
		t.Errorf("confirm: %d %s", code, text)
	}
	if b.patched() != `{"camera":{"crop":{"x":8,"y":16}}}` {
		t.Errorf("patch %s", b.patched())
	}
	code, text = do(t, c, "GET", api, "")
	if code != 200 || !strings.Contains(text, `"by":"Li"`) || !strings.Contains(text, `"text":"site: plant-1`) {
		t.Errorf("configuration: %d %s", code, text)
	}
}

func TestOddChangesAreRefused(t *testing.T) {
	b := newBox()
	url, c := withBox(t, b), browser(t)
	logIn(t, c, url)
	over := b.Configuration().SHA256
	for _, text := range []string{
		"", "words", "camera: [", "camera: {crpo: 1}", "web: {listen: ''}", "trust: {config_keys: {}}", "a: &x 1\nb: *x", "camera: {password_file: /etc/shadow}",
		strings.Repeat("{a: ", 500), strings.Repeat("x", 300<<10), "\x00",
	} {
		for _, path := range []string{"preview", "propose"} {
			asked := map[string]any{"text": text}
			if path == "propose" {
				asked["over"] = over
			}
			if code, answer := do(t, c, "POST", url+"/api/configuration/"+path, body(t, asked)); code < 400 || code >= 500 {
				t.Errorf("%s %.30q: %d %.100s", path, text, code, answer)
			}
		}
	}
	for _, body := range []string{"", "[]", `{"revision": "1"}`, `{"revision": 1}{}`, `{"revision": 1, "more": 1}`, `{"revision": 1e300}`} {
		for _, path := range []string{"confirm", "withdraw", "propose", "preview"} {
			if code, text := do(t, c, "POST", url+"/api/configuration/"+path, body); code < 400 || code >= 500 {
				t.Errorf("%s %s: %d %s", path, body, code, text)
			}
		}
	}
	if b.patched() != "" || len(b.did) > 0 {
		t.Errorf("did %v", b.did)
	}
	b.closed = message.OneFault("remote.config", "is false on this box")
	for _, path := range []string{"preview", "propose"} {
		if code, text := do(t, c, "POST", url+"/api/configuration/"+path, `{"text": "state: {hold_seconds: 9}"}`); code != http.StatusConflict || !strings.Contains(text, "remote.config: is false") {
			t.Errorf("%s: %d %s", path, code, text)
		}
	}
}

// Without a changer, as in a program of its own, the page says that nothing can be changed.
func TestConfigurationThatDoesNotChange(t *testing.T) {
	_, url := started(t)
	c := browser(t)
	logIn(t, c, url)
	if code, text := do(t, c, "GET", url+"/api/configuration", ""); code != 200 || !strings.Contains(text, "does not change while it runs") {
		t.Errorf("%d %s", code, text)
	}
	for path, body := range map[string]string{"preview": `{"text": "a: 1"}`, "propose": `{"text": "a: 1"}`, "confirm": `{"revision": 1}`, "withdraw": `{"revision": 1}`} {
		if code, text := do(t, c, "POST", url+"/api/configuration/"+path, body); code != http.StatusConflict || !strings.Contains(text, "does not change") {
			t.Errorf("%s: %d %s", path, code, text)
		}
	}
}

func newClosed() []message.Fault {
	return message.OneFault("remote.config", "is false on this box: the configuration is changed only in the box's own file")
}
