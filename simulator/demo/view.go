package demo

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// picture is the newest content of each topic. All of it arrived over MQTT.
type picture struct {
	availability string
	state        stateMessage
	current      sampleMessage
	events       []string // the newest last
	messages     int
}

// keptEvents is how many events the view shows.
const keptEvents = 8

func (p *picture) event(line string) {
	p.events = append(p.events, line)
	if extra := len(p.events) - keptEvents; extra > 0 {
		p.events = p.events[extra:]
	}
}

// view shows the picture repeatedly.
type view struct {
	out io.Writer
	// live redraws in place; otherwise the view adds a line now and then.
	live    bool
	drawn   int // lines of the last drawing
	printed time.Time
	state   string
}

func newView(out *os.File) *view { return &view{out: out, live: term.IsTerminal(int(out.Fd()))} }

const noState = "the agent starts, no state has arrived yet"

// plainEvery is the interval between the lines of a view that cannot redraw.
const plainEvery = 10 * time.Second

func (v *view) show(p *picture, elapsed, total time.Duration) error {
	if v.live {
		return v.redraw(p, elapsed, total)
	}
	if p.state.State == v.state && time.Since(v.printed) < plainEvery {
		return nil
	}
	v.state, v.printed = p.state.State, time.Now()
	if p.state.State == "" {
		_, err := fmt.Fprintf(v.out, "%4.0f s  %s\n", elapsed.Seconds(), noState)
		return err
	}
	_, err := fmt.Fprintf(v.out, "%4.0f s  %-9s p %.2f by %-5s  current %s %5.1f %5.1f %5.1f kA  video %s  coverage %.0f %% %.0f %%\n",
		elapsed.Seconds(), p.state.State, p.state.PMean, p.state.Source, p.state.Senses.Current,
		p.current.A/1000, p.current.B/1000, p.current.C/1000, p.state.Senses.Video,
		100*p.state.Coverage.Current, 100*p.state.Coverage.Video)
	return err
}

func (v *view) redraw(p *picture, elapsed, total time.Duration) error {
	lines := frame(p, elapsed, total)
	var b strings.Builder
	if v.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", v.drawn)
	}
	for _, line := range lines {
		b.WriteString("\x1b[2K" + line + "\n")
	}
	v.drawn = len(lines)
	_, err := io.WriteString(v.out, b.String())
	return err
}

// colours of the states, as ANSI codes.
func colour(state string) string {
	switch state {
	case "abnormal":
		return "\x1b[1;97;41m"
	case "normal":
		return "\x1b[1;30;42m"
	case "warming":
		return "\x1b[1;30;43m"
	default:
		return "\x1b[1;97;100m"
	}
}

func frame(p *picture, elapsed, total time.Duration) []string {
	s := p.state
	held := ""
	switch {
	case s.Held:
		held = " (held)"
	case s.Level == "suspected":
		held = " (suspected)"
	}
	alignment := "–"
	if s.Alignment != nil {
		alignment = fmt.Sprintf("%+.2f", *s.Alignment)
	}
	place := "–"
	if s.Evidence != nil {
		place = fmt.Sprintf("%.0f %% across, %.0f %% down", 100*s.Evidence.X, 100*s.Evidence.Y)
	}
	lines := []string{
		fmt.Sprintf("Meltwatch demo   %4.0f of %.0f s   agent %s   %d messages", elapsed.Seconds(), total.Seconds(), orDash(p.availability), p.messages),
		"",
	}
	if s.State == "" {
		return append(lines, "  "+noState)
	}
	lines = append(lines,
		fmt.Sprintf("  furnace    %s %-8s \x1b[0m%s since %s", colour(s.State), strings.ToUpper(s.State), held, s.Since.Local().Format("15:04:05")),
		fmt.Sprintf("  abnormal   %s %.2f  (this second %.2f, by %s)", bar(s.PMean), s.PMean, s.PAbnormal, s.Source),
	)
	for i, amperes := range []float64{p.current.A, p.current.B, p.current.C} {
		lines = append(lines, fmt.Sprintf("  phase %c    %s %5.1f kA", 'A'+i, bar(amperes/20000), amperes/1000))
	}
	lines = append(lines,
		fmt.Sprintf("  senses     current %s (%.0f %% of window), video %s (%.0f %%)", s.Senses.Current, 100*s.Coverage.Current, s.Senses.Video, 100*s.Coverage.Video),
		fmt.Sprintf("  model      %s %s, alignment %s, looked at %s, %.0f ms", s.Model.Name, s.Model.Version, alignment, place, s.LatencyMS),
		"",
	)
	for i := range keptEvents {
		line := ""
		if i < len(p.events) {
			line = "  " + p.events[i]
		}
		lines = append(lines, line)
	}
	return lines
}

// bar draws a share, 0–1, in thirty cells.
func bar(share float64) string {
	const cells = 30
	full := min(max(int(share*cells+0.5), 0), cells)
	return strings.Repeat("█", full) + strings.Repeat("░", cells-full)
}
