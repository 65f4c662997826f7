package web

import (
	"bytes"
	"context"
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

	"github.com/chromedp/cdproto"
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

// runAcrossLoads is run for an action that may meet a page that loads anew: Chromium then
// answers the action with an error, though the page has received it.
func (b *tab) runAcrossLoads(action chromedp.Action) {
	b.t.Helper()
	err := chromedp.Run(b.ctx, action)
	var refused *cdproto.Error
	if errors.As(err, &refused) && refused.Message == "Inspected target navigated or closed" && b.ctx.Err() == nil {
		return
	}
	if err != nil {
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
		b.runAcrossLoads(chromedp.Evaluate("(() => { try { return Boolean("+expression+"); } catch { return false; } })()", &ok))
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
		chromedp.SendKeys("#login-name", "Li"), chromedp.SendKeys("#login-password", password))
	b.runAcrossLoads(chromedp.SendKeys("#login-password", kb.Enter))
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

// runUp is how many seconds before each alarm p(abnormal) leaves the normal side.
const runUp = 12

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
		} else if n%100 >= 50-runUp && n%100 < 50 {
			s.PMean, s.PAbnormal, s.Source = 0.5, 0.8, "model"
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
