package probe

import (
	"fmt"
	"io"
	"strings"
)

// Print writes the result for a person.
func (r Result) Print(out io.Writer) error {
	w := &printer{out: out}
	w.line("%s", r.URL)
	for _, t := range r.Transports {
		word := "works"
		if !t.Works {
			_, word = keyOf(t.Detail)
		}
		w.item("transport "+t.Name, "%s", word)
	}
	if r.Video.Codec == "" && len(r.Login.Offers) == 0 {
		w.item("log-in", "unknown: the camera answered too little")
	} else {
		w.item("log-in", "%s", r.Login)
	}
	if r.Video.Codec != "" {
		w.video(r.Video)
		w.clock(r.Clock)
	}
	w.item("picture", "%s", r.Picture)
	if r.File != "" {
		w.item("saved", "%s", r.File)
	}
	w.line("")
	for _, f := range r.Findings {
		w.finding(f)
	}
	if r.YAML != "" {
		w.line("\n%s", strings.TrimSuffix(r.YAML, "\n"))
		w.line("\nThen run: meltwatch check -c FILE --only camera")
	}
	return w.err
}

// printer keeps the first error of its writer.
type printer struct {
	out io.Writer
	err error
}

func (w *printer) line(format string, args ...any) {
	if w.err == nil {
		_, w.err = fmt.Fprintf(w.out, format+"\n", args...)
	}
}

func (w *printer) item(name, format string, args ...any) {
	w.line("%-14s %s", name, fmt.Sprintf(format, args...))
}

func (w *printer) finding(f Finding) {
	mark, where := "note", ""
	if f.Fault {
		mark = "FAIL"
	}
	if f.Key != "" {
		where = f.Key + ": "
	}
	w.line("%s %s%s", mark, where, f.Detail)
}

func (l Login) String() string {
	asked := "asks for " + strings.Join(l.Offers, " or ")
	if len(l.Offers) == 0 {
		asked = "not asked for"
	}
	switch {
	case l.Refused:
		return asked + "; refused"
	case l.Accepted:
		return asked + "; accepted"
	default:
		return asked
	}
}

func (w *printer) video(v Video) {
	w.item("codec", "%s", strings.TrimSpace(v.Codec+" "+v.Profile))
	if v.Width > 0 {
		w.item("size", "%d×%d pixels", v.Width, v.Height)
	}
	if v.Packets == 0 {
		return
	}
	announced := "rate not announced"
	if v.AnnouncedRate > 0 {
		announced = fmt.Sprintf("%.4g announced", v.AnnouncedRate)
	}
	if v.Rate > 0 {
		w.item("rate", "%.4g pictures/s over %.4g s, %s", v.Rate, v.MeasuredSeconds, announced)
	} else {
		w.item("rate", "unknown: fewer than two pictures came, %s", announced)
	}
	switch {
	case v.KeyFrameSeconds > 0 && v.KeyFramePictures == 1:
		w.item("key frames", "each picture is one")
	case v.KeyFrameSeconds > 0:
		w.item("key frames", "%.3g s apart (%d pictures)", v.KeyFrameSeconds, v.KeyFramePictures)
	default:
		w.item("key frames", "%.3g s apart or more: fewer than two came", v.KeyFrameAtLeast)
	}
	if v.Decoding != "" {
		w.item("decoding", "%s", v.Decoding)
	}
	w.item("packets", "%d, %d lost", v.Packets, v.Lost)
}

func (w *printer) clock(c Clock) {
	switch {
	case c.Plausible == nil:
		w.item("clock", "too few pictures to tell")
	case c.DriftSeconds == 0:
		w.item("clock", "%s", plausibility(*c.Plausible))
	default:
		w.item("clock", "%s, %+.2g %% against this machine's over %.3g s, jitter %.3g ms", plausibility(*c.Plausible), c.DriftPercent, c.DriftSeconds, c.JitterMS)
	}
	switch {
	case c.LagSeconds != nil:
		w.item("lag", "%.3g s by the camera's time of day (RTCP), if it and this machine's are right", *c.LagSeconds)
	case c.BehindSeconds != nil:
		w.item("lag", "unknown: the clocks of the camera and of this machine differ")
	default:
		w.item("lag", "unknown: the camera sends no time of day (RTCP sender reports)")
	}
}

func plausibility(plausible bool) string {
	if plausible {
		return "plausible"
	}
	return "not plausible"
}
