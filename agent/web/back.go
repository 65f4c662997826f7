package web

import (
	"archive/tar"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"meltwatch/agent/recorder"
)

const (
	// maxTimeline bounds the stretch of the timeline, maxSpan that of samples and clips.
	maxTimeline = 60 * 24 * time.Hour
	maxSpan     = time.Hour
	// maxPoints bounds the points of a chart: a screen has fewer.
	maxPoints = 4000
)

var errNoRecording = errors.New("nothing is recorded: recorder.enabled is false on this box")

// stretch reads from and to, seconds since 1970 or RFC 3339.
func stretch(q url.Values, most time.Duration) (from, to time.Time, err error) {
	from, err = instant(q.Get("from"))
	if err != nil {
		return from, to, fmt.Errorf("from: %w", err)
	}
	if to, err = instant(q.Get("to")); err != nil {
		return from, to, fmt.Errorf("to: %w", err)
	}
	if !from.Before(to) || to.Sub(from) > most {
		return from, to, fmt.Errorf("to: the stretch is empty or longer than %s", most)
	}
	return from, to, nil
}

var errInstant = errors.New("invalid instant: give seconds since 1970, or 2026-11-28T13:40:00Z")

func instant(text string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	s, err := strconv.ParseFloat(text, 64)
	if err != nil || !(s >= 0 && s < 1e11) {
		return time.Time{}, errInstant
	}
	return time.UnixMilli(int64(1000 * s)).UTC(), nil
}

// recorded returns the asked stretch, or answers with the reason why there is none.
func (p *page) recorded(w http.ResponseWriter, r *http.Request, most time.Duration) (from, to time.Time, ok bool) {
	if p.Library == nil {
		refuse(w, http.StatusNotFound, errNoRecording.Error())
		return from, to, false
	}
	from, to, err := stretch(r.URL.Query(), most)
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return from, to, false
	}
	return from, to, true
}

// known returns what is recorded and labelled, or answers why it cannot.
func (p *page) known(w http.ResponseWriter) (segments []recorder.Summary, labels []recorder.Label, ok bool) {
	segments, err := p.Library.Segments()
	if err == nil {
		labels, err = p.Labels.All()
	}
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
	}
	return segments, labels, err == nil
}

// timeline answers with what is known of each minute, states, marks and labels.
func (p *page) timeline(w http.ResponseWriter, r *http.Request) {
	from, to, ok := p.recorded(w, r, maxTimeline)
	if !ok {
		return
	}
	segments, labels, ok := p.known(w)
	if !ok {
		return
	}
	type span struct {
		From time.Time `json:"from"`
		To   time.Time `json:"to"`
		Keep string    `json:"keep,omitempty"`
	}
	all := struct {
		Spans   []span            `json:"spans"`
		States  []recorder.Change `json:"states"`
		Marks   []recorder.Mark   `json:"marks"`
		Minutes []recorder.Minute `json:"minutes"`
		Labels  []recorder.Label  `json:"labels"`
	}{}
	for _, s := range segments {
		if s.To.Before(from) || s.From.After(to) {
			continue
		}
		all.Spans = append(all.Spans, span{s.From, s.To, s.Keep})
		all.States = append(all.States, s.States...)
		for _, m := range s.Marks {
			if shown(m) && !m.At.Before(from) && !m.At.After(to) {
				all.Marks = append(all.Marks, m)
			}
		}
		all.Minutes = append(all.Minutes, s.Minutes...)
	}
	all.Minutes = thinned(all.Minutes)
	all.Marks = all.Marks[max(len(all.Marks)-maxMarks, 0):]
	all.Labels = labels
	answer(w, all)
}

// maxMarks bounds the marks of an answer; the newest stay.
const maxMarks = 10_000

// shown reports whether the timeline has a place for a mark.
func shown(m recorder.Mark) bool {
	return slices.Contains([]string{"alarm", "suspicion", "sense", "mark"}, m.Kind)
}

func thinned[T any](values []T) []T {
	step := (len(values) + maxPoints - 1) / maxPoints
	if step <= 1 {
		return values
	}
	var some []T
	for i := 0; i < len(values); i += step {
		some = append(some, values[i])
	}
	return some
}

// samples answers with the readings and verdicts of a stretch.
func (p *page) samples(w http.ResponseWriter, r *http.Request) {
	from, to, ok := p.recorded(w, r, maxSpan)
	if !ok {
		return
	}
	samples, err := p.Library.Samples(from, to)
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	states, err := p.Library.States(from, to)
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	points := make([]Point, 0, len(samples))
	for _, s := range samples {
		if s.Missing == "" {
			points = append(points, Point{unix(s.Time), s.Current[0], s.Current[1], s.Current[2]})
		}
	}
	verdicts := make([]Verdict, 0, len(states))
	for _, s := range states {
		verdicts = append(verdicts, Verdict{unix(s.Time), s.PAbnormal, s.PMean, s.State.State})
	}
	answer(w, map[string]any{"samples": thinned(points), "states": thinned(verdicts)})
}

// picture answers with the recorded picture nearest to an instant.
func (p *page) picture(w http.ResponseWriter, r *http.Request) {
	if p.Library == nil {
		refuse(w, http.StatusNotFound, errNoRecording.Error())
		return
	}
	at, err := instant(r.URL.Query().Get("at"))
	if err != nil {
		refuse(w, http.StatusBadRequest, "at: "+err.Error())
		return
	}
	kind, mime := recorder.View, "image/jpeg"
	if r.URL.Query().Get("kind") == "crop" {
		kind, mime = recorder.Crop, "image/png"
	}
	entry, data, err := p.Library.Picture(kind, at)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		refuse(w, http.StatusNotFound, "no picture within 10 s")
	case err != nil:
		refuse(w, http.StatusInternalServerError, err.Error())
	default:
		w.Header().Set("Content-Type", mime)
		w.Header().Set("X-Taken", entry.Time.Format(time.RFC3339Nano))
		_, _ = w.Write(data) // the client may have gone
	}
}

// clip answers with a stretch as a tar file: pictures, and the current as CSV.
func (p *page) clip(w http.ResponseWriter, r *http.Request) {
	from, to, ok := p.recorded(w, r, maxSpan)
	if !ok {
		return
	}
	entries, err := p.Library.Entries(from, to, recorder.Current, recorder.State, recorder.Events, recorder.Crop, recorder.View)
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	name := "meltwatch-" + p.Furnace + "-" + from.UTC().Format("20060102T150405Z")
	w.Header().Set("Content-Type", "application/x-tar")
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`.tar"`)
	if http.NewResponseController(w).SetWriteDeadline(time.Now().Add(5*time.Minute)) != nil {
		return
	}
	out := tar.NewWriter(w)
	for _, e := range entries {
		data, err := p.Library.Read(e)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err == nil {
			err = out.WriteHeader(&tar.Header{Name: name + "/" + e.Name(), Mode: 0o644, Size: int64(len(data)), ModTime: e.Time})
		}
		if err == nil {
			_, err = out.Write(data)
		}
		if err != nil {
			return // without the end of the file, the client sees that it is cut off
		}
	}
	_ = out.Close() // the client may have gone
}
