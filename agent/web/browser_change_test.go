package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"meltwatch/agent/recorder"
	"meltwatch/durable"
)

// served opens a page over a furnace whose configuration changes.
func served(t *testing.T, f *furnace, b *box) (*tab, string) {
	t.Helper()
	hash, err := Hash(password)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	listening, ended := make(chan net.Addr, 1), make(chan error, 1)
	source := f.sourceWithPicture()
	source.Changer = b
	s := &Server{Address: "127.0.0.1:0", PasswordHash: hash, Source: source, Log: slog.New(slog.DiscardHandler), Observer: nothing{},
		Listening: func(a net.Addr) { listening <- a }}
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
	})
	url := "http://" + (<-listening).String()
	tab := openTab(t, url)
	tab.until(30*time.Second, `document.getElementById("word").textContent === "NORMAL"`)
	return tab, url
}

// press presses Enter on a button, as a person at the keyboard does.
func (b *tab) press(selector string) {
	b.t.Helper()
	b.until(10*time.Second, fmt.Sprintf(`!document.querySelector(%q).disabled`, selector))
	b.run(chromedp.Focus(selector), chromedp.KeyEvent(kb.Enter))
}

func (b *tab) holds(selector, text string) {
	b.t.Helper()
	b.until(10*time.Second, fmt.Sprintf(`document.querySelector(%q).textContent.includes(%q)`, selector, text))
}

// Set up: a change is shown, tried, kept or undone, from the keyboard; what the page may not
// change is said, and why its buttons are grey.
func TestConfigurationIsChangedInABrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("a browser takes long under the race detector: left out by -short")
	}
	box := newBox()
	f := &furnace{folder: t.TempDir()}
	f.set("normal")
	b, _ := served(t, f, box)
	b.visit("setup")
	b.holds("#page-setup .hint", "log in first")
	b.axe("setup without a log-in")
	b.logIn()
	b.visit("setup")
	b.until(10*time.Second, `document.getElementById("crop-picture").naturalWidth === 960 && document.getElementById("config-head").textContent.includes("own file")`)
	b.holds("#page-setup .hint", "show the difference first")

	// The crop, moved by key, tried and kept.
	b.run(chromedp.Focus("#crop-box"), chromedp.KeyEvent(kb.ArrowRight), chromedp.KeyEvent(kb.ArrowDown))
	b.press("#crop-take")
	b.until(10*time.Second, `document.querySelectorAll("#change-diff tbody tr").length === 2 && !document.getElementById("change-diff").hidden`)
	b.holds("#change-diff", "camera.crop.x08")
	b.axe("difference")
	b.shoot("setup-difference", 1280, 1200, "light")
	if box.patched() != "" {
		t.Error("a difference changes something")
	}
	b.press("#change-try")
	b.until(10*time.Second, `!document.getElementById("trial").hidden && /undone in (1\d\d s|2 min)/.test(document.getElementById("trial-left").textContent)`)
	b.holds("#trial-text", "Revision 1, by Li, is on trial")
	b.axe("trial")
	b.shoot("setup-trial", 1280, 1200, "light")
	b.visit("now") // on every page
	b.until(5*time.Second, `!document.getElementById("trial").hidden`)
	b.press("#trial-confirm")
	b.holds("#trial-text", "The change is kept")
	if box.patched() != `{"camera":{"crop":{"x":8,"y":8,"width":512,"height":512}}}` {
		t.Errorf("patch %s", box.patched())
	}

	// Another setting, by text; undone by the person, then by itself.
	b.visit("setup")
	b.holds("#config-head", "Revision 1, from the page (Li)")
	for _, wrong := range []string{"state: {enter: 7}", "web: {listen: x}", "words", "{}"} {
		b.run(chromedp.Evaluate(`document.getElementById("change-text").value = ""`, nil), chromedp.SendKeys("#change-text", wrong))
		b.press("#change-preview")
		if wrong == "{}" {
			b.until(10*time.Second, `!document.getElementById("change-diff").hidden`)
		} else {
			b.until(10*time.Second, `document.getElementById("change-error").textContent !== ""`)
		}
		b.until(5*time.Second, `document.getElementById("change-try").disabled`)
	}
	kept := box.patched()
	for _, end := range []string{"undone", "expired"} {
		if end == "expired" {
			box.mu.Lock()
			box.lasts = 3 * time.Second
			box.mu.Unlock()
		}
		b.run(chromedp.Evaluate(`document.getElementById("change-text").value = ""`, nil), chromedp.SendKeys("#change-text", "state:\n  hold_seconds: 9"))
		b.press("#change-preview")
		b.holds("#change-diff", "state.hold_seconds09")
		b.press("#change-try")
		b.until(10*time.Second, `!document.getElementById("trial-undo").hidden`)
		if end == "undone" {
			b.press("#trial-undo")
		}
		b.until(15*time.Second, `document.getElementById("trial-undo").hidden && document.getElementById("trial-text").textContent.includes("was undone")`)
		if box.patched() != kept {
			t.Errorf("%s: patch %s", end, box.patched())
		}
	}
	// Where the file forbids it, the page says so.
	box.mu.Lock()
	box.closed = newClosed()
	box.revision++ // another configuration is in force
	box.patch = []byte(`{"state": {"hold_seconds": 21}}`)
	box.mu.Unlock()
	b.holds("#page-setup .hint", "remote.config: is false on this box")
	b.until(5*time.Second, `document.getElementById("change-preview").disabled && document.getElementById("crop-take").disabled`)
	b.run(emulation.SetDeviceMetricsOverride(360, 780, 1, false))
	b.until(5*time.Second, `document.documentElement.scrollWidth <= 360`)
	complaints := b.complaints[:0]
	for _, c := range b.complaints {
		if !strings.Contains(c, "status of 4") { // the refusals above
			complaints = append(complaints, c)
		}
	}
	b.complaints = complaints
	b.quiet()
}

// Back: an offset set by hand is given to the agent; a label's stretch is changed by
// keyboard, by its fields and by mouse. Review: the proposed onset is shown, changed in place
// and confirmed with the others.
func TestOffsetLabelsAndOnsetsInABrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("a browser takes long under the race detector: left out by -short")
	}
	box, f := newBox(), melting(t)
	b, _ := served(t, f, box)
	b.logIn()
	at := f.began.Add(150 * time.Second).Truncate(time.Second)
	b.visit(fmt.Sprintf("back?t=%d&length=600", at.Unix()))
	b.until(20*time.Second, `document.getElementById("then").naturalWidth === 960`)
	b.run(chromedp.Focus("#offset"), chromedp.KeyEvent(kb.ArrowRight), chromedp.KeyEvent(kb.ArrowRight), chromedp.KeyEvent(kb.ArrowRight))
	b.press("#offset-use")
	b.until(10*time.Second, `!document.getElementById("trial-confirm").hidden`)
	b.press("#trial-confirm")
	b.holds("#trial-text", "The change is kept")
	if box.patched() != `{"camera":{"delay":"1500ms"}}` {
		t.Errorf("patch %s", box.patched())
	}
	b.visit("now")
	b.visit(fmt.Sprintf("back?t=%d&length=600", at.Unix()))
	b.until(10*time.Second, `document.getElementById("offset-out").textContent === "1.5 s" && document.getElementById("offset-said").textContent.includes("1.5 s")`)

	b.labelIsChanged(f, at)
	b.onsetsAreProposed(f)
	b.quiet()
}

func (b *tab) labels(f *furnace) []recorder.Label {
	b.t.Helper()
	all, err := recorder.OpenLabels(durable.Folder(f.folder)).All()
	if err != nil {
		b.t.Fatal(err)
	}
	return all
}

// saved waits until the one label has some values.
func (b *tab) saved(f *furnace, what string, ok func(recorder.Label) bool) {
	b.t.Helper()
	var all []recorder.Label
	for began := time.Now(); time.Since(began) < 10*time.Second; time.Sleep(50 * time.Millisecond) {
		if all = b.labels(f); len(all) == 1 && ok(all[0]) {
			return
		}
	}
	b.t.Fatalf("%s: %+v", what, all)
}

func (b *tab) labelIsChanged(f *furnace, at time.Time) {
	t := b.t
	t.Helper()
	put, err := recorder.OpenLabels(durable.Folder(f.folder)).Put(recorder.Label{Class: recorder.ClassAbnormal, From: at, To: at.Add(30 * time.Second), Onset: at.Add(5 * time.Second), Note: "spot"})
	if err != nil {
		t.Fatal(err)
	}
	b.visit("now")
	b.visit(fmt.Sprintf("back?t=%d&length=600", at.Unix()))
	b.until(10*time.Second, `document.querySelectorAll("#labels tbody tr").length === 1`)
	// By keyboard: the button, then the cursor.
	b.press("#labels button")
	b.holds("#label-editing", "Change the label of")
	b.until(5*time.Second, `document.activeElement.id === "timeline" && document.getElementById("label-note").value === "spot" && document.querySelectorAll("line.handle").length === 3`)
	b.axe("editing")
	b.shoot("back-edit", 1280, 1300, "light")
	for range 3 {
		b.keys(kb.ArrowRight) // from the onset
	}
	b.keys("o")
	b.keys(kb.Enter)
	b.saved(f, "onset by key", func(l recorder.Label) bool {
		return l.ID == put[0].ID && l.Onset.Equal(at.Add(8*time.Second)) && l.From.Equal(at) && l.To.Equal(at.Add(30*time.Second)) && l.Note == "spot" && l.By == "Li"
	})
	b.until(5*time.Second, `document.getElementById("label-cancel").hidden && document.getElementById("label-from").value === ""`)
	// By its fields.
	b.press("#labels button")
	b.run(chromedp.SetValue("#label-to", at.Add(40*time.Second).Local().Format("2006-01-02T15:04:05")), chromedp.Evaluate(`document.getElementById("label-to").dispatchEvent(new Event("input"))`, nil))
	b.press("#label-save")
	b.saved(f, "end by field", func(l recorder.Label) bool {
		return l.To.Equal(at.Add(40*time.Second)) && l.Onset.Equal(at.Add(8*time.Second))
	})
	// A field that is cleared is asked for, and nothing is saved.
	b.until(5*time.Second, `document.getElementById("label-cancel").hidden`)
	before := b.labels(f)
	b.press("#labels button")
	b.run(chromedp.Evaluate(`{ const f = document.getElementById("label-from"); f.value = ""; f.dispatchEvent(new Event("input")); }`, nil))
	b.press("#label-save")
	b.holds("#label-said", "beginning and end")
	if after := b.labels(f); len(after) != 1 || after[0] != before[0] {
		t.Errorf("%+v, before %+v", after, before)
	}
	b.press("#label-cancel")
	// By mouse: a double click on the label, then its handle is drawn 60 s to the right.
	b.until(5*time.Second, `document.getElementById("label-cancel").hidden`)
	b.run(chromedp.ScrollIntoView("#timeline"))
	place := func(t time.Time) (x, y float64) {
		var spot struct{ X, Y, W, H float64 }
		b.run(chromedp.Evaluate(`(() => { const r = document.getElementById("timeline").getBoundingClientRect(); return {X: r.x, Y: r.y, W: r.width, H: r.height}; })()`, &spot))
		return spot.X + spot.W*(0.5+t.Sub(at).Seconds()/600), spot.Y + 0.9*spot.H
	}
	x, y := place(at.Add(20 * time.Second))
	b.run(chromedp.MouseClickXY(x, y, chromedp.ClickCount(2)))
	b.holds("#label-editing", "Change the label of")
	b.run(chromedp.Evaluate(fmt.Sprintf(`location.hash = "back?t=%d&length=600"`, at.Unix()), nil))
	b.drag(place(at.Add(40 * time.Second)))(place(at.Add(100 * time.Second)))
	b.run(chromedp.SetValue("#label-class", "doubtful"))
	b.press("#label-save")
	b.saved(f, "end by mouse", func(l recorder.Label) bool {
		return l.To.Sub(at.Add(100*time.Second)).Abs() < 2*time.Second && l.From.Equal(at) && l.Class == recorder.ClassDoubtful && l.Onset.IsZero()
	})
	// Given up, nothing changes; removed, it is gone.
	b.until(5*time.Second, `document.getElementById("label-cancel").hidden`)
	b.press("#labels button")
	b.keys("[")
	b.press("#label-cancel")
	b.until(5*time.Second, `document.querySelectorAll("line.handle").length === 0`)
	b.press("#labels button:last-child")
	b.until(10*time.Second, `document.querySelectorAll("#labels tbody tr").length === 0`)
	if all := b.labels(f); len(all) != 0 {
		t.Errorf("labels %+v", all)
	}
}

// drag moves the mouse from one place to another with its button held.
func (b *tab) drag(x0, y0 float64) func(x1, y1 float64) {
	return func(x1, y1 float64) {
		b.t.Helper()
		b.run(chromedp.MouseEvent("mousePressed", x0, y0, chromedp.ButtonLeft, chromedp.ClickCount(1)),
			chromedp.MouseEvent("mouseMoved", (x0+x1)/2, y1, chromedp.ButtonLeft), chromedp.MouseEvent("mouseMoved", x1, y1, chromedp.ButtonLeft),
			chromedp.MouseEvent("mouseReleased", x1, y1, chromedp.ButtonLeft))
	}
}

func (b *tab) onsetsAreProposed(f *furnace) {
	t := b.t
	t.Helper()
	b.visit("review")
	b.until(10*time.Second, `document.querySelectorAll("#alarms tbody input[type=datetime-local]").length === 3`)
	b.holds("#alarms", fmt.Sprintf("%d s before the alarm", runUp))
	b.axe("review with onsets")
	// The newest alarm's onset is changed in place.
	mine := f.began.Add(240 * time.Second).Truncate(time.Second)
	b.run(chromedp.Evaluate(fmt.Sprintf(`document.querySelector("#alarms tbody input[type=datetime-local]").value = %q`, mine.Local().Format("2006-01-02T15:04:05")), nil))
	b.press("#all")
	b.press(`.verdict[data-class="abnormal"]`)
	b.until(10*time.Second, `[...document.querySelectorAll("#alarms tbody tr")].every((r) => r.textContent.includes("abnormal (Li)"))`)
	for _, l := range b.labels(f) {
		raised := f.began.Add(map[string]time.Duration{"7-1": 50 * time.Second, "7-2": 150 * time.Second, "7-3": 250 * time.Second}[l.Alarm])
		want := raised.Add(-runUp * time.Second)
		if l.Alarm == "7-3" {
			want = mine
		}
		if l.Onset.Sub(want).Abs() > 10*time.Millisecond || !l.From.Equal(l.Onset) || l.To.Sub(raised.Add(30*time.Second)).Abs() > time.Second {
			t.Errorf("%+v, want the onset %s", l, want)
		}
	}
	b.run(emulation.SetDeviceMetricsOverride(360, 780, 1, false))
	b.until(5*time.Second, `document.documentElement.scrollWidth <= 360`)
}
