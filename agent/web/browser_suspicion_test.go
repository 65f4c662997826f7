package web

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"meltwatch/agent/message"
	"meltwatch/agent/recorder"
	"meltwatch/durable"
)

// suspect sets the level of alarm that the furnace's page shows.
func (f *furnace) suspect(level string, held bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.state.Seq++
	f.state.Level, f.state.LevelHeld, f.state.LevelSince = level, held, time.Now().UTC()
}

// suspected records the beginning and the end of a suspicion.
func (f *furnace) suspected(t *testing.T, from, to time.Time) {
	t.Helper()
	r := recorder.New(recorder.Settings{
		Files: durable.Folder(f.folder), MaxBytes: 1 << 30, MaxAge: time.Hour,
		Wall: func(t time.Time) time.Time { return t.UTC().Round(0) }, Log: slog.New(slog.DiscardHandler), Observer: nothing{},
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	for _, e := range []message.Event{
		{Stamp: message.Stamp{Time: from.UTC()}, Kind: "suspicion", Subject: "7-8", To: "raised", Cause: "An early warning."},
		{Stamp: message.Stamp{Time: to.UTC()}, Kind: "suspicion", Subject: "7-8", From: "raised", To: "cleared", Cause: "p is low"},
	} {
		r.Event(e)
	}
	cancel()
	<-ended
}

// An early warning has a word, a shape and a colour of its own, says what to do, and is
// acknowledged and shelved; an alarm takes its place.
func TestSuspicionInABrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("a browser takes long under the race detector: left out by -short")
	}
	f := melting(t)
	f.suspected(t, f.began.Add(100*time.Second), f.began.Add(130*time.Second))
	over, raised := *f.alarm, f.alarm
	over.Phase = message.AlarmCleared
	f.alarm = &over
	f.suspicion = &message.Alarm{ID: "7-9", Phase: message.AlarmRaised, Raised: time.Now().UTC(), Summary: "An early warning, not an alarm yet. The video sees it."}
	url, stop := f.run(t, "127.0.0.1:0")
	defer stop()
	b := openTab(t, url)
	b.until(30*time.Second, `document.getElementById("word").textContent === "NORMAL"`)
	var calm, early, alarm [3]string
	look := func(into *[3]string) {
		b.run(chromedp.Evaluate(`[document.getElementById("shape-path").getAttribute("d"), getComputedStyle(document.getElementById("state")).backgroundColor, parseFloat(getComputedStyle(document.getElementById("word")).fontSize).toFixed(0).padStart(4, "0")]`, into))
	}
	look(&calm)
	f.suspect("suspected", false)
	b.until(10*time.Second, `document.getElementById("word").textContent === "SUSPECTED" && document.getElementById("h-alarm").textContent === "Early warning" && document.title.startsWith("SUSPECTED")`)
	b.holds("#advice", "Go and look")
	b.holds("#since", "state: NORMAL")
	b.holds("#alarm-summary", "not an alarm yet")
	look(&early)
	b.axe("a suspicion")
	b.logIn()
	b.press("#ack")
	b.press("#shelve")
	b.run(chromedp.WaitVisible("#shelve-reason"), chromedp.SendKeys("#shelve-reason", "tapping"+kb.Enter))
	for began := time.Now(); !strings.Contains(f.all(), "7-9 acknowledged by Li") || !strings.Contains(f.all(), "7-9 shelved by Li"); time.Sleep(50 * time.Millisecond) {
		if time.Since(began) > 10*time.Second {
			t.Fatalf("did %q", f.all())
		}
	}
	f.suspect("suspected", true)
	b.holds("#advice", "acknowledge the warning")
	b.holds("#since", "held")
	f.mu.Lock()
	f.alarm = raised
	f.mu.Unlock()
	f.suspect("alarm", false)
	f.set("abnormal")
	b.until(10*time.Second, `document.getElementById("word").textContent === "ABNORMAL" && document.getElementById("h-alarm").textContent === "Alarm"`)
	look(&alarm)
	for i, what := range []string{"shape", "colour"} {
		if early[i] == calm[i] || early[i] == alarm[i] {
			t.Errorf("the %s of a suspicion is %s; normal %s, alarm %s", what, early[i], calm[i], alarm[i])
		}
	}
	if early[2] >= alarm[2] {
		t.Errorf("the word is as large as an alarm's: %s and %s px", early[2], alarm[2])
	}
	b.visit(fmt.Sprintf("back?t=%d&length=600", f.began.Unix()+110))
	b.until(20*time.Second, `[...document.querySelectorAll("#timeline rect")].some((r) => r.getAttribute("fill") === "var(--suspected)" && r.textContent.includes("SUSPECTED") && r.getAttribute("width") > 40 && r.getAttribute("width") < 60)`)
	b.run(chromedp.Evaluate(`localStorage.setItem("language", "zh")`, nil))
	f.suspect("suspected", false)
	f.set("normal")
	b.visit("now")
	b.run(chromedp.Reload())
	b.until(20*time.Second, `document.getElementById("word").textContent === "疑似" && document.getElementById("advice").textContent.includes("去查看炉壳")`)
}
