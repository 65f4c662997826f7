package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"meltwatch/agent/message"
	"meltwatch/agent/recorder"
	"meltwatch/drivers"
	"meltwatch/durable"
)

// tab is a page in a real Chromium, and what it complains of.
type tab struct {
	t   *testing.T
	ctx context.Context //nolint:containedctx // chromedp keeps its browser in the context
	mu  sync.Mutex
	// complaints are errors of the console, and requests to other hosts.
	complaints []string
	forgiving  bool
}

func openTab(t *testing.T, url string) *tab {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("SKIPPED, no chromium to drive: apt-get install chromium")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox,
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("lang", "en"), chromedp.WSURLReadTimeout(90*time.Second))
	allocator, stop := chromedp.NewExecAllocator(t.Context(), options...)
	// Events of a newer browser that the library does not know are no errors.
	ctx, closeTab := chromedp.NewContext(allocator, chromedp.WithErrorf(func(string, ...any) {}))
	ctx, cancel := context.WithTimeout(ctx, 4*time.Minute)
	t.Cleanup(func() { cancel(); closeTab(); stop() })
	b := &tab{t: t, ctx: ctx}
	chromedp.ListenTarget(ctx, func(event any) {
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			b.complain("exception: " + e.ExceptionDetails.Error())
		case *runtime.EventConsoleAPICalled:
			if e.Type == runtime.APITypeError {
				b.complain(fmt.Sprintf("console: %v", e.Args))
			}
		case *log.EventEntryAdded:
			if e.Entry.Level == log.LevelError {
				b.complain("log: " + e.Entry.Text + " " + e.Entry.URL)
			}
		case *network.EventRequestWillBeSent:
			if u := e.Request.URL; !strings.HasPrefix(u, url) && !strings.HasPrefix(u, "data:") && !strings.HasPrefix(u, "blob:") {
				b.complain("request to " + u)
			}
		}
	})
	b.run(network.Enable(), chromedp.Navigate(url))
	return b
}

func (b *tab) complain(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.forgiving {
		b.complaints = append(b.complaints, text)
	}
}

// forgive lets the console complain, as it does while the agent is away.
func (b *tab) forgive(yes bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forgiving = yes
}

func (b *tab) run(actions ...chromedp.Action) {
	b.t.Helper()
	if err := chromedp.Run(b.ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// until waits for an expression of JavaScript to be true and returns how long it took.
func (b *tab) until(limit time.Duration, expression string) time.Duration {
	b.t.Helper()
	began := time.Now()
	for {
		var ok bool
		// While the page loads anew, an element may be missing.
		b.run(chromedp.Evaluate("(() => { try { return Boolean("+expression+"); } catch { return false; } })()", &ok))
		if ok {
			return time.Since(began)
		}
		if time.Since(began) > limit {
			var text string
			b.run(chromedp.Evaluate("document.body.innerText.slice(0, 1500)", &text))
			b.t.Fatalf("not within %s: %s\n%s", limit, expression, text)
		}
		time.Sleep(30 * time.Millisecond)
	}
}

// keys presses keys on whatever has the focus.
func (b *tab) keys(text string) { b.t.Helper(); b.run(chromedp.KeyEvent(text)) }

func (b *tab) logIn() {
	b.t.Helper()
	b.run(chromedp.Focus("#session"), chromedp.KeyEvent(kb.Enter), chromedp.WaitVisible("#login-name"),
		chromedp.SendKeys("#login-name", "Li"), chromedp.SendKeys("#login-password", password+kb.Enter))
	b.until(10*time.Second, `document.getElementById("session").textContent.includes("Li")`)
}

// visit opens a page of the page.
func (b *tab) visit(hash string) {
	b.t.Helper()
	b.run(chromedp.Evaluate(fmt.Sprintf("location.hash = %q", hash), nil))
	name, _, _ := strings.Cut(hash, "?")
	b.until(10*time.Second, fmt.Sprintf("!document.getElementById(%q).hidden", "page-"+name))
}

// shoot saves what the tab shows, if MELTWATCH_SCREENSHOTS names a folder.
func (b *tab) shoot(name string, width, height int64, scheme string) {
	b.t.Helper()
	folder := os.Getenv("MELTWATCH_SCREENSHOTS")
	if folder == "" {
		return
	}
	var picture []byte
	b.run(emulation.SetDeviceMetricsOverride(width, height, 1, false),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}),
		chromedp.Sleep(time.Second), chromedp.CaptureScreenshot(&picture))
	if err := os.WriteFile(filepath.Join(folder, name+".png"), picture, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// axe runs axe-core on the page that is shown, and reports what it finds serious.
func (b *tab) axe(page string) {
	b.t.Helper()
	script, err := os.ReadFile("../../.deps/axe-core/axe.min.js")
	if err != nil {
		b.t.Logf("axe-core is not installed (make deps): %s is not examined", page)
		return
	}
	var found string
	b.run(chromedp.Evaluate(string(script), nil), chromedp.Evaluate(
		`axe.run(document, {resultTypes: ["violations"]}).then((r) => JSON.stringify(r.violations.filter((v) => v.impact === "serious" || v.impact === "critical").map((v) => [v.id, v.help, v.nodes.map((n) => n.html)])))`,
		&found, func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }))
	if found != "[]" {
		b.t.Errorf("axe on %s: %.2000s", page, found)
	}
}

func (b *tab) quiet() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.complaints {
		b.t.Error(c)
	}
}

// shell is a picture of a furnace's shell with a spot.
func shell() []byte {
	picture := image.NewRGBA(image.Rect(0, 0, 960, 540))
	for y := range 540 {
		for x := range 960 {
			v := uint8(40 + 30*((x/40)%2))
			picture.SetRGBA(x, y, color.RGBA{v + 20, v, v, 255})
			if dx, dy := x-520, y-300; dx*dx+dy*dy < 40*40 {
				picture.SetRGBA(x, y, color.RGBA{255, 120, 40, 255})
			}
		}
	}
	var out bytes.Buffer
	_ = jpeg.Encode(&out, picture, nil) // to memory
	return out.Bytes()
}

// melting is a furnace with an alarm, and a recording of the last five minutes in which
// three alarms were raised.
func melting(t *testing.T) *furnace {
	t.Helper()
	f := &furnace{folder: t.TempDir(), began: time.Now().Add(-5 * time.Minute)}
	f.set("normal")
	value := func(v float64) *float64 { return &v }
	agree := true
	f.state.Senses = message.Senses{Current: "ok", Video: "ok"}
	f.state.Source, f.state.PMean, f.state.PAbnormal = "model", 0.2, 0.25
	f.state.Since = f.began
	f.state.Alone = &message.Alone{Current: value(0.1), Video: value(0.3)}
	f.alarm = &message.Alarm{ID: "7-3", Phase: message.AlarmRaised, Raised: f.began.Add(250 * time.Second), Agree: &agree,
		Summary: "The model's mean p(abnormal) is 0.97, its threshold 0.95. The current alone gives 0.12, the video alone gives 0.99: the video sees it."}
	r := recorder.New(recorder.Settings{
		Files: durable.Folder(f.folder), MaxBytes: 1 << 30, MaxAge: time.Hour,
		Wall: func(t time.Time) time.Time { return t.UTC().Round(0) }, Log: slog.New(slog.DiscardHandler), Observer: nothing{},
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	picture := shell()
	for n := range 300 {
		at := f.began.Add(time.Duration(n) * time.Second)
		abnormal := n%100 >= 50 && n%100 < 80
		s := message.State{Stamp: message.Stamp{Time: at.UTC()}, State: "normal", PMean: 0.1, PAbnormal: 0.1}
		if abnormal {
			s.State, s.PMean, s.PAbnormal = "abnormal", 0.97, 0.98
		}
		for k := range 2 {
			r.Sample(drivers.Sample{Time: at.Add(time.Duration(k) * 500 * time.Millisecond),
				Current: [3]float64{15000 + float64((n*37+k*11)%900), 15100 - float64(n*17%700), 14900 + float64(n*29%500)}})
		}
		r.Second(recorder.Second{Decided: at, State: s, Frame: drivers.Frame{Time: at, Number: uint64(n + 1), Width: 64, Height: 64, Pixels: bytes.Repeat([]byte{byte(n), 60, 40}, 64*64)}})
		r.View(at, picture)
		if n%100 == 50 || n%100 == 80 {
			e := message.Event{Stamp: message.Stamp{Time: at.UTC()}, Kind: "alarm", Subject: fmt.Sprintf("7-%d", n/100+1), To: "raised", Cause: "The video sees it."}
			if n%100 == 80 {
				e.From, e.To = "raised", "cleared"
			}
			r.Event(e)
		}
		time.Sleep(time.Millisecond) // the queue is bounded
	}
	for n := range 400 {
		at := time.Now().Add(time.Duration(n-400) * time.Second)
		f.live.Sample(at, drivers.Sample{Current: [3]float64{15000 + float64(n*37%900), 15100 - float64(n*17%700), 14900}})
		f.live.State(message.State{Stamp: message.Stamp{Time: at}, State: "normal", PMean: 0.2, PAbnormal: 0.1 + 0.2*float64(n%7)/7})
	}
	cancel()
	<-ended
	return f
}

func (f *furnace) sourceWithPicture() Source {
	s := f.source()
	picture := shell()
	s.View = func(context.Context, bool) ([]byte, error) { return picture, nil }
	return s
}

// run serves the furnace until stop is called, on an address.
func (f *furnace) run(t *testing.T, address string) (url string, stop func()) {
	t.Helper()
	hash, err := Hash(password)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	listening := make(chan net.Addr, 1)
	s := &Server{Address: address, PasswordHash: hash, Source: f.sourceWithPicture(), Log: slog.New(slog.DiscardHandler), Observer: nothing{},
		Listening: func(a net.Addr) { listening <- a }}
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	select {
	case a := <-listening:
		url = "http://" + a.String()
	case err := <-ended:
		t.Fatal(err)
	}
	return url, sync.OnceFunc(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
	})
}

// The whole page, driven as a person does: by keyboard, with each result on disk.
func TestPageInABrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("a browser takes long under the race detector: left out by -short")
	}
	f := melting(t)
	url, stop := f.run(t, "127.0.0.1:0")
	defer func() { stop() }()
	b := openTab(t, url)
	b.until(30*time.Second, `document.getElementById("word").textContent === "NORMAL"`)

	// Now: the state changes within two seconds of the verdict.
	f.set("abnormal")
	if took := b.until(10*time.Second, `document.getElementById("word").textContent === "ABNORMAL"`); took > 2*time.Second {
		t.Errorf("the change was shown after %s", took)
	}
	b.until(10*time.Second, `document.getElementById("live").naturalWidth === 960`)
	b.until(10*time.Second, `document.getElementById("alarm-summary").textContent.includes("the video sees it")`)
	var locked bool
	b.run(chromedp.Evaluate(`document.getElementById("ack").disabled`, &locked))
	if !locked {
		t.Error("an alarm can be acknowledged without a log-in")
	}
	b.axe("now")
	b.shoot("alarm-light", 1280, 1000, "light")
	b.shoot("alarm-dark", 1280, 1000, "dark")
	b.shoot("alarm-phone", 360, 780, "light")
	b.shoot("wall", 1920, 1080, "dark")
	b.run(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "light"}}))
	b.run(emulation.SetDeviceMetricsOverride(1280, 1000, 1, false))

	b.logIn()
	b.until(10*time.Second, `!document.getElementById("ack").disabled`)
	b.run(chromedp.Focus("#ack"), chromedp.KeyEvent(kb.Enter))
	b.run(chromedp.Focus("#shelve"), chromedp.KeyEvent(kb.Enter), chromedp.WaitVisible("#shelve-reason"), chromedp.SendKeys("#shelve-reason", "tapping"+kb.Enter))
	b.until(10*time.Second, `!document.getElementById("shelving").open`)
	for began := time.Now(); !strings.Contains(f.all(), "shelved by Li for 15m0s: tapping") || !strings.Contains(f.all(), "acknowledged by Li"); {
		if time.Since(began) > 5*time.Second {
			t.Fatalf("did %q", f.all())
		}
		time.Sleep(50 * time.Millisecond)
	}

	b.labelByKeyboard(f)
	b.reviewByKeyboard(f)
	b.setUp()
	b.quiet()
	b.reconnects(f, url, &stop)
}

// Back: the cursor moves by key, the picture follows with the offset, a stretch is
// labelled.
func (b *tab) labelByKeyboard(f *furnace) {
	t := b.t
	t.Helper()
	at := f.began.Add(150 * time.Second)
	b.visit(fmt.Sprintf("back?t=%d&length=600", at.Unix()))
	b.until(20*time.Second, `document.getElementById("then").naturalWidth === 960 && document.getElementById("then-crop").naturalWidth === 64`)
	b.axe("back")
	b.shoot("back", 1280, 1100, "light")
	b.run(emulation.SetDeviceMetricsOverride(1280, 1000, 1, false))
	b.run(chromedp.Focus("#timeline"))
	b.keys("[")
	for range 5 {
		b.keys(kb.ArrowRight)
	}
	b.keys("o")
	b.keys(kb.ArrowRight)
	for range 24 {
		b.keys(kb.ArrowRight)
	}
	b.keys("]")
	b.keys("a")
	b.keys(kb.Enter)
	b.until(10*time.Second, `document.querySelectorAll("#labels tbody tr").length === 1`)
	labels, err := recorder.OpenLabels(durable.Folder(f.folder)).All()
	if err != nil || len(labels) != 1 {
		t.Fatalf("labels %+v, %v", labels, err)
	}
	l := labels[0]
	if off := l.From.Sub(at).Abs(); off > time.Second || l.To.Sub(l.From) != 30*time.Second || l.Onset.Sub(l.From) != 5*time.Second || l.Class != recorder.ClassAbnormal || l.By != "Li" {
		t.Errorf("label %+v, want 30 s from %s", l, at)
	}
	// The offset moves the picture against the current, and goes into the link.
	b.run(chromedp.Focus("#offset"), chromedp.KeyEvent(kb.ArrowRight), chromedp.KeyEvent(kb.ArrowRight))
	b.until(5*time.Second, `document.getElementById("offset-out").textContent === "1.0 s" && document.getElementById("share").href.includes("offset=1")`)
	var shown string
	b.until(5*time.Second, `document.getElementById("then").src.includes("at=")`)
	b.run(chromedp.Evaluate(`document.getElementById("then").src.split("at=")[1] - document.getElementById("share").href.match(/t=([0-9.]+)/)[1] + ""`, &shown))
	if shown != "1" && !strings.HasPrefix(shown, "0.99") && !strings.HasPrefix(shown, "1.0") {
		t.Errorf("the picture is %s s from the cursor, want 1", shown)
	}
	// Played, the cursor moves by itself; dragged, it follows.
	var before, after string
	b.run(chromedp.Evaluate(`document.getElementById("share").href`, &before), chromedp.Focus("#play"), chromedp.KeyEvent(kb.Enter))
	b.until(5*time.Second, fmt.Sprintf(`document.getElementById("share").href !== %q`, before))
	b.run(chromedp.KeyEvent(kb.Enter), chromedp.MouseClickXY(400, 0), chromedp.Click("#timeline"), chromedp.Evaluate(`document.getElementById("share").href`, &after))
	var clip string
	b.run(chromedp.Evaluate(`fetch(document.getElementById("clip").href).then((a) => a.headers.get("Content-Disposition"))`, &clip,
		func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }))
	if !strings.Contains(clip, "meltwatch-f07-") {
		t.Errorf("the clip is %q", clip)
	}
}

// Review: all alarms of the week are rejected at once.
func (b *tab) reviewByKeyboard(f *furnace) {
	t := b.t
	t.Helper()
	b.visit("review")
	b.until(10*time.Second, `document.querySelectorAll("#alarms tbody tr").length === 3`)
	b.axe("review")
	b.shoot("review", 1280, 800, "light")
	b.run(chromedp.Focus("#all"), chromedp.KeyEvent(kb.Enter), chromedp.Focus(`.verdict[data-class="normal"]`), chromedp.KeyEvent(kb.Enter))
	b.until(10*time.Second, `[...document.querySelectorAll("#alarms tbody tr")].every((r) => r.textContent.includes("normal (Li)"))`)
	labels, err := recorder.OpenLabels(durable.Folder(f.folder)).All()
	rejected := 0
	for _, l := range labels {
		if l.Class == recorder.ClassNormal && strings.HasPrefix(l.Alarm, "7-") && l.To.Sub(l.From) > 20*time.Second {
			rejected++
		}
	}
	if err != nil || rejected != 3 {
		t.Errorf("%d alarms rejected, %v: %+v", rejected, err, labels)
	}
	// Said again, a label is changed, not doubled.
	b.run(chromedp.Evaluate(`document.querySelectorAll("#alarms input").forEach((i) => { i.checked = true; })`, nil),
		chromedp.Focus(`.verdict[data-class="abnormal"]`), chromedp.KeyEvent(kb.Enter))
	b.until(10*time.Second, `[...document.querySelectorAll("#alarms tbody tr")].every((r) => r.textContent.includes("abnormal (Li)"))`)
	if again, _ := recorder.OpenLabels(durable.Folder(f.folder)).All(); len(again) != len(labels) {
		t.Errorf("%d labels, then %d", len(labels), len(again))
	}
}

// Set up: the crop is drawn with the mouse and moved with the keys.
func (b *tab) setUp() {
	t := b.t
	t.Helper()
	b.visit("setup")
	b.until(10*time.Second, `document.getElementById("crop-picture").naturalWidth === 960 && document.getElementById("config").textContent.includes("plant-1")`)
	b.axe("setup")
	b.shoot("setup", 1280, 1000, "light")
	b.run(chromedp.Focus("#crop-box"), chromedp.KeyEvent(kb.ArrowRight), chromedp.KeyEvent(kb.ArrowDown))
	b.until(5*time.Second, `document.getElementById("crop-yaml").textContent.includes("crop: {x: 8, y: 8, width: 512, height: 512}")`)
	var box struct{ X, Y, W, H float64 }
	b.run(chromedp.Evaluate(`(() => { const r = document.getElementById("crop-picture").getBoundingClientRect(); return {X: r.x, Y: r.y, W: r.width, H: r.height}; })()`, &box))
	drag := func(kind string, x, y float64) chromedp.Action {
		return chromedp.Evaluate(fmt.Sprintf(`document.getElementById("crop-picture").dispatchEvent(new PointerEvent(%q, {bubbles: true, pointerId: 1, buttons: 1, clientX: %f, clientY: %f}))`, kind, x, y), nil)
	}
	b.run(chromedp.Evaluate(`document.getElementById("crop-box").setPointerCapture = () => {}`, nil),
		drag("pointerdown", box.X+box.W/4, box.Y+box.H/4), drag("pointermove", box.X+box.W/2, box.Y+3*box.H/4), drag("pointerup", box.X+box.W/2, box.Y+3*box.H/4))
	var text string
	b.run(chromedp.Text("#crop-yaml", &text))
	var x, y, w, h int
	if _, err := fmt.Sscanf(strings.TrimSpace(strings.TrimPrefix(text, "camera:")), "crop: {x: %d, y: %d, width: %d, height: %d}", &x, &y, &w, &h); err != nil ||
		max(x-320, 320-x) > 12 || max(y-180, 180-y) > 12 || max(w-320, 320-w) > 12 || max(h-360, 360-h) > 12 {
		t.Errorf("crop %q, %v, want 320, 180, 320×360", text, err)
	}
}

// After a restart of the agent the page connects by itself, and says so meanwhile.
func (b *tab) reconnects(f *furnace, url string, stop *func()) {
	b.t.Helper()
	b.visit("now")
	b.forgive(true)
	(*stop)()
	b.until(20*time.Second, `!document.getElementById("link").hidden && document.getElementById("link").textContent.includes("does not answer")`)
	_, *stop = f.run(b.t, strings.TrimPrefix(url, "http://"))
	b.until(40*time.Second, `document.getElementById("link").hidden`)
	f.set("normal")
	b.until(10*time.Second, `document.getElementById("word").textContent === "NORMAL"`)
}

// Chinese is chosen on the page, and stays.
func TestPageInChinese(t *testing.T) {
	if testing.Short() {
		t.Skip("a browser takes long under the race detector: left out by -short")
	}
	f := melting(t)
	url, stop := f.run(t, "127.0.0.1:0")
	defer stop()
	b := openTab(t, url)
	b.until(30*time.Second, `document.getElementById("word").textContent === "NORMAL"`)
	b.run(chromedp.Evaluate(`localStorage.setItem("language", "zh")`, nil), chromedp.Reload())
	b.until(20*time.Second, `document.getElementById("word").textContent === "正常" && document.documentElement.lang === "zh-CN"`)
	var english string
	b.run(chromedp.Evaluate(`JSON.stringify([...document.querySelectorAll("[data-t]")].filter((n) => /[A-Za-z]{4,}/.test(n.textContent.replaceAll("Shift", ""))).map((n) => n.dataset.t))`, &english))
	var left []string
	if err := json.Unmarshal([]byte(english), &left); err != nil {
		t.Fatal(err)
	}
	for _, key := range left {
		if key != "no_charts" { // it names a command
			t.Errorf("%q is not translated", key)
		}
	}
	b.quiet()
}

// TestPicturesOfTheDocuments takes the pictures of the documents from a running page, such
// as the demo's, at MELTWATCH_PAGE, into MELTWATCH_SCREENSHOTS.
func TestPicturesOfTheDocuments(t *testing.T) {
	url := os.Getenv("MELTWATCH_PAGE")
	if url == "" {
		t.Skip("MELTWATCH_PAGE names no page to take pictures of")
	}
	b := openTab(t, url)
	b.until(200*time.Second, `document.getElementById("word").textContent === "ABNORMAL"`)
	// The click scrolls; the pictures show the page from its top.
	b.run(chromedp.Click("#drawn"), chromedp.Evaluate("scrollTo(0, 0)", nil), chromedp.Sleep(4*time.Second))
	b.shoot("page-alarm", 1280, 1180, "light")
	b.shoot("page-dark", 1280, 1180, "dark")
	b.shoot("page-phone", 360, 780, "light")
	b.shoot("page-wall", 1920, 1080, "dark")
	b.run(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "light"}}))
	b.visit(fmt.Sprintf("back?t=%d&length=600", time.Now().Unix()-15))
	b.run(chromedp.Sleep(4 * time.Second))
	b.shoot("page-back", 1280, 1100, "light")
	b.quiet()
}
