package web

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"meltwatch/agent/recorder"
	"meltwatch/durable"
)

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
	// The next picture is asked for when the last one has arrived.
	b.until(10*time.Second, `Math.abs(document.getElementById("then").src.split("at=")[1] - document.getElementById("share").href.match(/t=([0-9.]+)/)[1] - 1) < 0.1`)
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
