package web

import (
	"context"
	"testing"
	"time"

	cdp "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// Links with odd numbers show something; a browser whose clock is wrong shows the box's
// time; an agent that is away or no longer decides is not called normal.
func TestPageIsHonest(t *testing.T) {
	if testing.Short() {
		t.Skip("a browser takes long under the race detector: left out by -short")
	}
	f := melting(t)
	url, stop := f.run(t, "127.0.0.1:0")
	defer func() { stop() }()
	b := openTab(t, url)
	b.until(30*time.Second, `document.getElementById("word").textContent === "NORMAL"`)
	for _, query := range []string{
		"t=Infinity", "t=1e300&length=1e300", "t=NaN&length=-5&offset=Infinity", "t=1&length=1", "t=-1e9", "t=%00&length=%FF", "offset=<svg onload=1>", "t=99999999999",
	} {
		b.visit("back?" + query)
		b.until(10*time.Second, `document.getElementById("cursor-time").textContent.length > 5 && !document.body.innerText.includes("Invalid") && !document.body.innerText.includes("NaN") && document.getElementById("until").value !== ""`)
	}
	b.quiet()

	// The browser's clock is an hour and a half ahead.
	b.run(chromedp.ActionFunc(func(ctx context.Context) error {
		_, err := cdp.AddScriptToEvaluateOnNewDocument(`{ const now = Date.now; Date.now = () => now() + 5400e3; }`).Do(ctx)
		return err
	}), chromedp.Navigate(url+"/#back"), chromedp.Reload())
	b.until(20*time.Second, `document.querySelectorAll("#timeline rect").length > 4`)
	b.visit("now")
	b.until(10*time.Second, `document.getElementById("word").textContent === "NORMAL" && / s\)| min\)/.test(document.getElementById("since").textContent)`)

	// Decisions stop, and the agent goes on; then it ends.
	f.mu.Lock()
	f.stuck = time.Now().UTC()
	f.mu.Unlock()
	b.until(25*time.Second, `document.getElementById("word").textContent === "UNKNOWN" && document.getElementById("since").textContent.includes("before that: NORMAL")`)
	f.mu.Lock()
	f.stuck = time.Time{}
	f.mu.Unlock()
	b.until(10*time.Second, `document.getElementById("word").textContent === "NORMAL"`)
	b.quiet()
	b.forgive(true)
	address := url[len("http://"):]
	stop()
	b.until(20*time.Second, `document.getElementById("word").textContent === "UNKNOWN" && !document.getElementById("link").hidden && document.title.startsWith("UNKNOWN")`)
	_, stop = f.run(t, address)
	b.until(40*time.Second, `document.getElementById("word").textContent === "NORMAL" && document.getElementById("link").hidden`)
	f.set("abnormal")
	b.until(10*time.Second, `document.getElementById("word").textContent === "ABNORMAL"`)
	stop()
	time.Sleep(8 * time.Second)
	b.until(10*time.Second, `document.getElementById("word").textContent === "ABNORMAL" && document.getElementById("since").textContent.includes("before that: ABNORMAL")`)
}
