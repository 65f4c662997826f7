package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"meltwatch/agent/beside"
	"meltwatch/drivers/drivertest"
	"meltwatch/drivers/rtsp/rtsptest"
)

// probes is a prober that a test drives: work, unless nil, finds the parts.
type probes struct {
	mu     sync.Mutex
	status Probing
	did    []string
	work   func(ctx context.Context, found func(beside.Part)) error
	cancel context.CancelFunc
}

func (p *probes) Status() Probing {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.status
	if s.Running != nil {
		running := *s.Running
		running.Parts = append([]beside.Part{}, running.Parts...)
		s.Running = &running
	}
	return s
}

func (p *probes) Start(by string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.status.Running != nil {
		return errors.New("a probe runs already")
	}
	p.did = append(p.did, "started by "+by)
	p.status.Running = &Probe{By: by, Began: time.Now()}
	if p.work != nil {
		var ctx context.Context
		ctx, p.cancel = context.WithCancel(context.Background())
		one := p.status.Running
		go func() { p.end(one, p.work(ctx, func(part beside.Part) { p.found(one, part) })) }()
	}
	return nil
}

func (p *probes) found(one *Probe, part beside.Part) {
	p.mu.Lock()
	defer p.mu.Unlock()
	one.Parts = append(one.Parts, part)
}

func (p *probes) end(one *Probe, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.status.Running != one {
		return // it was cancelled
	}
	last := *one
	if err != nil {
		last.Fault = err.Error()
	}
	p.status = Probing{Last: &last}
}

func (p *probes) Cancel(by string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.status.Running == nil {
		return errors.New("no probe runs")
	}
	p.did = append(p.did, "cancelled by "+by)
	last := *p.status.Running
	last.Fault = "cancelled by " + by
	p.status = Probing{Last: &last}
	if p.cancel != nil {
		p.cancel()
	}
	return nil
}

func (p *probes) all() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.did, "; ")
}

// A probe is started and cancelled by a person who has logged in, and by nobody else.
func TestProbeIsAsked(t *testing.T) {
	f, url := started(t)
	anybody, li := browser(t), browser(t)
	for _, path := range []string{"/api/probe", "/api/probe/cancel"} {
		if status, _ := do(t, anybody, "POST", url+path, "{}"); status != http.StatusUnauthorized {
			t.Errorf("%s without a log-in: %d", path, status)
		}
	}
	if status, text := do(t, anybody, "GET", url+"/api/probe", ""); status != 200 || text != `{"running":null,"last":null}` {
		t.Errorf("before the first: %d %s", status, text)
	}
	logIn(t, li, url)
	for body, want := range map[string]int{"": 415, "[]": 400, "null {}": 400, `{"url": "rtsp://192.0.2.1/x"}`: 400, "{} {}": 400, "{": 400, strings.Repeat(" ", 300<<10): 400} {
		for _, path := range []string{"/api/probe", "/api/probe/cancel"} {
			if status, text := do(t, li, "POST", url+path, body); status != want {
				t.Errorf("%s %.40q: %d %.200s, want %d", path, body, status, text, want)
			}
		}
	}
	if f.probes.all() != "" {
		t.Fatalf("an invalid request did %s", f.probes.all())
	}
	if status, _ := do(t, li, "POST", url+"/api/probe/cancel", "{}"); status != http.StatusConflict {
		t.Errorf("cancelled without one: %d", status)
	}
	if status, text := do(t, li, "POST", url+"/api/probe", "{}"); status != 200 || !strings.Contains(text, `"by":"Li"`) {
		t.Errorf("start: %d %s", status, text)
	}
	if status, text := do(t, li, "POST", url+"/api/probe", "{}"); status != http.StatusConflict || !strings.Contains(text, "runs already") {
		t.Errorf("a second one: %d %s", status, text)
	}
	f.probes.found(f.probes.status.Running, beside.Part{Name: beside.Meters, Findings: []beside.Finding{{Status: beside.Fail, Key: "meters.main", Detail: "<b>odd</b>"}}, Watch: beside.WatchFault})
	if status, text := do(t, anybody, "GET", url+"/api/probe", ""); status != 200 || !strings.Contains(text, `"part":"meters"`) || !strings.Contains(text, `"watch":"fault"`) {
		t.Errorf("meanwhile: %d %s", status, text)
	}
	if status, text := do(t, li, "POST", url+"/api/probe/cancel", "{}"); status != 200 || !strings.Contains(text, "cancelled by Li") {
		t.Errorf("cancel: %d %s", status, text)
	}
	if did := f.probes.all(); did != "started by Li; cancelled by Li" {
		t.Errorf("did %s", did)
	}
}

// program runs the program meltwatch on real devices, as the agent does.
func program(t *testing.T, meter, camera, password string) func(context.Context, func(beside.Part)) error {
	t.Helper()
	bin, err := filepath.Abs("../../bin")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"meltwatch", "meltwatch-camera"} {
		if _, err := os.Stat(filepath.Join(bin, name)); err != nil {
			t.Skipf("SKIPPED, %s is not built: run make build", name)
		}
	}
	document := fmt.Sprintf(`{site: plant-1, furnace: f07, mqtt: {broker: "tcp://127.0.0.1:1"}, state: {normal_current: 15000},
meters: {main: {url: %q, fields: {current_a: {address: 0}, current_b: {address: 2}, current_c: {address: 4}, set_point: {address: 6}}}},
camera: {url: %q, username: viewer, password_file: %q, crop: {x: 10, y: 20, width: 100, height: 100}}, paths: {state: %q, programs: %q}}`,
		meter, camera, password, t.TempDir(), bin)
	return func(ctx context.Context, found func(beside.Part)) error {
		cmd := exec.CommandContext(ctx, filepath.Join(bin, "meltwatch"), "probe", "configured", "--json", "--config", "/dev/stdin")
		cmd.Stdin = strings.NewReader(document)
		out, err := cmd.StdoutPipe()
		if err != nil {
			return err
		}
		if err := cmd.Start(); err != nil {
			return err
		}
		for lines := json.NewDecoder(out); ; {
			var part beside.Part
			if lines.Decode(&part) != nil {
				break // its end
			}
			part.Watch = beside.WatchReads
			found(part)
		}
		return cmd.Wait()
	}
}

// Set up: a probe of a real meter and a real camera with a log-in, from the keyboard: started,
// cancelled, and what came out, in both languages and on a phone.
func TestProbeInABrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("a browser takes long under the race detector: left out by -short")
	}
	secret := filepath.Join(t.TempDir(), "camera.password")
	if err := os.WriteFile(secret, []byte("geheim-1234\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	camera := rtsptest.Start(t, "viewer", "geheim-1234")
	// 15,012, 14,890 and 15,100 A, and a set-point of 15,000 A.
	meter := drivertest.Registers(t, []uint16{0x466A, 0x9000, 0x4668, 0xA800, 0x466B, 0xF000, 0x466A, 0x6000}, nil)
	f := &furnace{folder: t.TempDir()}
	f.probes.work = program(t, meter, camera.URL(), secret)
	f.set("normal")
	b, _ := served(t, f, newBox())
	b.visit("setup")
	b.holds("#probe-status", "Nothing has been probed yet.")
	b.until(5*time.Second, `document.getElementById("probe-start").disabled && document.querySelector("#probe-start").parentNode.querySelector(".hint").textContent.includes("log in first")`)
	b.holds("#probe-help", "second connection beside that of the watch")
	b.logIn()
	b.visit("setup")
	b.press("#probe-start")
	b.until(10*time.Second, `document.activeElement.id === "probe-cancel" && document.getElementById("probe-start").disabled`)
	b.holds("#probe-rows", "15012 14890 15100 A, set-point 15000 A")
	b.holds("#probe-status", "Camera: being probed for Li")
	b.axe("probing")
	b.press("#probe-cancel")
	b.holds("#probe-status", "cancelled by Li")
	b.press("#probe-start")
	b.until(60*time.Second, `document.getElementById("probe-cancel").hidden && document.getElementById("probe-yaml").textContent.includes("crop: {x: 10, y: 20, width: 100, height: 100}")`)
	for _, want := range []string{"15012 / 14890 / 15100 A", "Set-point15000 A", "Verdictplausible", "CodecH264", "320 × 240", "pictures/s", "Between key frames1.0", "Pictureok"} {
		b.holds("#probe-facts", want)
	}
	b.holds("#probe-rows tbody tr", "● okMeters")
	b.holds("#probe-rows", "● okCamera"+camera.URL()+": the agent can use it as it is")
	var text string
	b.run(chromedp.Evaluate(`document.documentElement.outerHTML`, &text))
	if strings.Contains(text, "geheim") {
		t.Error("the page holds the camera's password")
	}
	b.axe("probed")
	b.shoot("setup-probe", 1280, 1500, "light")

	// What a device with one connection does, and names that look like markup.
	f.probes.mu.Lock()
	f.probes.status = Probing{Last: &Probe{By: "Li", Began: time.Now(), Parts: []beside.Part{
		{Name: beside.Meters, Findings: []beside.Finding{{Status: beside.Warn, Key: "meters.main", Detail: "<b>connect</b>: refused"}}, Watch: beside.WatchReads},
		{Name: beside.Camera, Findings: []beside.Finding{}, Watch: beside.WatchLost},
	}}}
	f.probes.mu.Unlock()
	b.holds("#probe-rows", "▲ noteMetersmeters.main: <b>connect</b>: refused● okMetersThe watch itself has had this device all the time.")
	b.holds("#probe-rows", "The watch failed while this device was probed, so the probe was stopped.")
	b.until(5*time.Second, `document.getElementById("probe-yaml").hidden`)
	b.axe("one connection")
	b.run(chromedp.Evaluate(`localStorage.setItem("language", "zh")`, nil), chromedp.Reload())
	b.holds("#probe-rows", "监测本身一直在使用此设备")
	b.until(10*time.Second, `document.getElementById("probe-start").textContent === "检测" && !document.getElementById("probe-start").disabled`)
	b.axe("one connection, Chinese")
	b.run(emulation.SetDeviceMetricsOverride(360, 780, 1, false))
	b.until(5*time.Second, `document.documentElement.scrollWidth <= 360`)
	b.quiet()
	if did := f.probes.all(); did != "started by Li; cancelled by Li; started by Li" {
		t.Errorf("did %s", did)
	}
}
