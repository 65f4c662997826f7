package web

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cdp "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"meltwatch/agent/message"
	"meltwatch/drivers"
)

// watchTimes keeps, of each chart, where its labels of time were drawn last.
const watchTimes = `{
  const drawn = new Map(), { fillText, clearRect } = CanvasRenderingContext2D.prototype;
  CanvasRenderingContext2D.prototype.clearRect = function (...a) { drawn.set(this.canvas, []); return clearRect.apply(this, a); };
  CanvasRenderingContext2D.prototype.fillText = function (text, x, ...rest) {
    if (/^\d+:\d\d:\d\d$/.test(text)) { const w = this.measureText(text).width; (drawn.get(this.canvas) || []).push([x - w / 2, x + w / 2]); }
    return fillText.call(this, text, x, ...rest);
  };
  window.timesApart = () => {
    const charts = [...drawn].filter(([canvas, marks]) => canvas.isConnected && marks.length > 0).map(([, marks]) => marks.sort((a, b) => a[0] - b[0]));
    return charts.length > 0 && charts.every((marks) => marks.every((m, i) => !i || m[0] - marks[i - 1][1] >= 4));
  };
}`

// The labels of time stand apart at every width; each state comes with what to do, and
// nothing is decided by nothing.
func TestWordsOfThePage(t *testing.T) {
	if testing.Short() {
		t.Skip("a browser takes long under the race detector: left out by -short")
	}
	f := melting(t)
	url, stop := f.run(t, "127.0.0.1:0")
	defer stop()
	b := openTab(t, url)
	b.run(chromedp.ActionFunc(func(ctx context.Context) error {
		_, err := cdp.AddScriptToEvaluateOnNewDocument(watchTimes).Do(ctx)
		return err
	}))
	for _, language := range []string{"en", "zh"} {
		b.run(chromedp.Evaluate(fmt.Sprintf(`localStorage.setItem("language", %q)`, language), nil), chromedp.Reload())
		b.until(20*time.Second, `document.documentElement.lang.startsWith("`+language+`") && document.getElementById("figures").textContent !== ""`)
		var charts bool
		b.run(chromedp.Evaluate(`Boolean(window.uPlot)`, &charts))
		for _, width := range []int64{1920, 1280, 800, 360} {
			b.run(emulation.SetDeviceMetricsOverride(width, 1080, 1, false))
			if charts {
				b.visit("now")
				b.until(10*time.Second, `window.timesApart()`)
			}
		}
		for _, page := range []string{"now", fmt.Sprintf("back?t=%d&length=600", f.began.Unix()+150), "review", "setup"} {
			b.visit(page)
			b.run(chromedp.Sleep(300 * time.Millisecond))
			var wide string
			b.run(chromedp.Evaluate(`[...document.querySelectorAll("body *")].filter((e) => !e.closest(".wide") && !e.closest("pre") && !e.closest(".skip") && e.getBoundingClientRect().right > 360).map((e) => e.id || e.outerHTML.slice(0, 80)).join("; ")`, &wide))
			if wide != "" {
				t.Errorf("%s, %s: wider than a phone: %s", language, page, wide)
			}
			b.until(5*time.Second, `document.documentElement.scrollWidth <= 360`)
			if language == "en" {
				b.axe("the phone's " + page)
			}
		}
		b.run(emulation.SetDeviceMetricsOverride(1280, 1080, 1, false))
		if charts {
			b.visit(fmt.Sprintf("back?t=%d&length=600", f.began.Unix()+150))
			b.until(10*time.Second, `window.timesApart()`)
			b.visit("now")
		}
		b.holds("#alarm .hint", map[string]string{"en": "Grey: log in first.", "zh": "按钮不可用：请先登录。"}[language])
		words := map[string]string{}
		for state, part := range map[string][2]string{"warming": {"120", "120"}, "abnormal": {"plant's procedure", "规程"}, "off": {"stands still", "已停"}, "unknown": {"not watched", "没有监测"}} {
			f.set(state)
			f.mu.Lock()
			f.state.Source = map[bool]string{true: "model", false: "none"}[state == "abnormal"]
			f.state.Senses = message.Senses{Current: "ok", Video: "ok"}
			f.mu.Unlock()
			want := part[0]
			if language == "zh" {
				want = part[1]
			}
			b.holds("#advice", want)
			f.live.Sample(time.Now(), drivers.Sample{Current: [3]float64{15000, 15100, 14900}})
			b.holds("#figures", "15000 / 15100 / 14900 "+map[string]string{"en": "A", "zh": "安"}[language])
			var text string
			b.run(chromedp.Text("#state", &text))
			words[state] = text
			b.run(chromedp.Text("#figures", &text))
			if strings.Contains(text, "nothing") || state != "abnormal" && !strings.Contains(text, map[string]string{"en": "Not decided", "zh": "尚未判定"}[language]) {
				t.Errorf("%s, %s: %s", language, state, text)
			}
		}
		if language == "zh" && !strings.Contains(words["warming"], "预热") {
			t.Errorf("warming is %q", words["warming"])
		}
		if language == "zh" {
			for _, english := range []string{" min)", " s)", " h)"} {
				for _, text := range words {
					if strings.Contains(text, english) {
						t.Errorf("%q has an English unit", text)
					}
				}
			}
			b.until(5*time.Second, `[...document.getElementById("length").options].every((o) => /\d (分钟|小时|天)$/.test(o.textContent))`)
		}
	}
	b.quiet()
}
