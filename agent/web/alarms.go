package web

import (
	"net/http"
	"slices"
	"time"

	"meltwatch/agent/recorder"
)

// pastAlarm is an alarm of the recording.
type pastAlarm struct {
	ID      string    `json:"id"`
	Raised  time.Time `json:"raised"`
	Cleared time.Time `json:"cleared,omitzero"` // zero while it lasts
	Why     string    `json:"why"`
	// Onset is that of the label or, without one, the proposed onset: Found tells that the
	// recording shows it. Otherwise it is the alarm's own instant.
	Onset time.Time       `json:"onset"`
	Found bool            `json:"found"`
	Label *recorder.Label `json:"label,omitempty"`
}

const (
	// maxRunUp bounds how long before an alarm its onset is sought: a melt burns through two
	// to three minutes after its onset.
	maxRunUp = 3 * time.Minute
	// maxDips is how many seconds of a run-up may be on the normal side again, in a row.
	maxDips = 3
	// maxProposals bounds the alarms of an answer whose onset is sought.
	maxProposals = 200
)

// alarms answers with the alarms of a stretch, the newest first, each with its onset.
func (p *page) alarms(w http.ResponseWriter, r *http.Request) {
	from, to, ok := p.recorded(w, r, maxTimeline)
	if !ok {
		return
	}
	segments, labels, ok := p.known(w)
	if !ok {
		return
	}
	all := alarmsOf(segments, from, to)
	all = all[:min(len(all), maxLabels)]
	label(all, labels)
	sought := 0
	for i := range all {
		if all[i].Label != nil || sought == maxProposals {
			continue
		}
		sought++
		if err := p.seekOnset(&all[i]); err != nil {
			refuse(w, http.StatusInternalServerError, err.Error())
			return
		}
	}
	answer(w, all)
}

// alarmsOf collects the alarms that were raised in a stretch, the newest first.
func alarmsOf(segments []recorder.Summary, from, to time.Time) []pastAlarm {
	all, byID := []pastAlarm{}, map[string]int{}
	for _, s := range segments {
		for _, m := range s.Marks {
			at, known := byID[m.Subject]
			switch {
			case m.Kind != "alarm":
			case m.To == "raised" && !known && !m.At.Before(from) && !m.At.After(to):
				byID[m.Subject] = len(all)
				all = append(all, pastAlarm{ID: m.Subject, Raised: m.At, Onset: m.At, Why: m.Cause})
			case m.To == "cleared" && known:
				all[at].Cleared = m.At
			}
		}
	}
	slices.SortStableFunc(all, func(a, b pastAlarm) int { return b.Raised.Compare(a.Raised) })
	return all
}

// label adds to each alarm what a person said of it.
func label(all []pastAlarm, labels []recorder.Label) {
	byAlarm := map[string]*recorder.Label{}
	for i := range labels {
		if labels[i].Alarm != "" {
			byAlarm[labels[i].Alarm] = &labels[i]
		}
	}
	for i := range all {
		l := byAlarm[all[i].ID]
		if l == nil {
			continue
		}
		all[i].Label = l
		switch {
		case !l.Onset.IsZero():
			all[i].Onset = l.Onset
		case l.Class == recorder.ClassAbnormal:
			all[i].Onset = l.From
		}
	}
}

// seekOnset proposes the onset of an alarm from the seconds before it.
func (p *page) seekOnset(a *pastAlarm) error {
	states, err := p.Library.States(a.Raised.Add(-maxRunUp), a.Raised)
	if err != nil {
		return err
	}
	_, exit := p.Thresholds()
	a.Onset, a.Found = onset(states, a.Raised, exit)
	return nil
}

// onset returns the first second of the run-up to an alarm: since then p(abnormal) of the
// single seconds has been on the abnormal side, but for short dips. Without a run-up it is
// the alarm's own instant.
func onset(states []recorder.Decided, raised time.Time, exit float64) (first time.Time, found bool) {
	const (
		pause  = 5 * time.Second // without a decision, or before another alarm
		around = 3 * time.Second // of the alarm's own first seconds
	)
	first, dips, next := raised, 0, raised
	if exit <= 0 {
		return first, false // no threshold tells the sides apart
	}
	for _, s := range slices.Backward(states) {
		before := raised.Sub(s.At)
		if next.Sub(s.At) > pause || before > around && s.State.State != "normal" {
			break
		}
		next = s.At
		if s.PAbnormal >= exit && s.Source != "none" {
			first, found, dips = s.At, true, 0
		} else if dips++; dips > maxDips {
			break
		}
	}
	return first, found
}
