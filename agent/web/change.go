package web

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"meltwatch/agent/recorder"
)

// read decodes a request's body strictly, or answers with the reason.
func read(w http.ResponseWriter, r *http.Request, into any) bool {
	in := json.NewDecoder(r.Body)
	in.DisallowUnknownFields()
	if err := in.Decode(into); err != nil {
		refuse(w, http.StatusBadRequest, "invalid request: "+err.Error())
		return false
	}
	if in.More() {
		refuse(w, http.StatusBadRequest, "invalid request: more follows")
		return false
	}
	return true
}

// named reports whether a request names the alarm that its sender has seen, or answers that
// it must: another one may have been raised since.
func named(w http.ResponseWriter, id string) bool {
	if id == "" {
		refuse(w, http.StatusBadRequest, "alarm: is missing: name the alarm by its id")
	}
	return id != ""
}

func (p *page) acknowledge(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Alarm string `json:"alarm"`
	}
	if !read(w, r, &asked) || !named(w, asked.Alarm) {
		return
	}
	by, _ := p.sessions.of(r)
	held, err := p.Acknowledge(r.Context(), asked.Alarm, by)
	if err != nil {
		refuse(w, http.StatusConflict, err.Error())
		return
	}
	answer(w, map[string]bool{"ended": held})
}

func (p *page) shelve(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Alarm   string `json:"alarm"`
		Minutes int    `json:"minutes"`
		Reason  string `json:"reason"`
	}
	if !read(w, r, &asked) || !named(w, asked.Alarm) {
		return
	}
	by, _ := p.sessions.of(r)
	if asked.Minutes < 0 || asked.Minutes > 24*60 {
		refuse(w, http.StatusBadRequest, "minutes: shelve for 1 to 480 minutes")
		return
	}
	if err := p.Shelve(asked.Alarm, by, asked.Reason, time.Duration(asked.Minutes)*time.Minute); err != nil {
		refuse(w, http.StatusConflict, err.Error())
		return
	}
	answer(w, struct{}{})
}

// maxMark bounds a remark, in bytes.
const maxMark = 200

func (p *page) mark(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Text string `json:"text"`
	}
	if !read(w, r, &asked) {
		return
	}
	if asked.Text == "" || len(asked.Text) > maxMark || !utf8.ValidString(asked.Text) || strings.ContainsFunc(asked.Text, unicode.IsControl) {
		refuse(w, http.StatusBadRequest, "text: is missing, longer than 200 bytes or not plain text")
		return
	}
	by, _ := p.sessions.of(r)
	p.Mark(by, asked.Text)
	answer(w, struct{}{})
}

func (p *page) labels(w http.ResponseWriter, _ *http.Request) {
	if p.Labels == nil {
		refuse(w, http.StatusNotFound, errNoRecording.Error())
		return
	}
	all, err := p.Labels.All()
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	answer(w, all)
}

// maxLabels bounds the labels of one request: the alarms of a busy week.
const maxLabels = 500

func (p *page) putLabels(w http.ResponseWriter, r *http.Request) {
	if p.Labels == nil {
		refuse(w, http.StatusNotFound, errNoRecording.Error())
		return
	}
	var asked []recorder.Label
	if !read(w, r, &asked) {
		return
	}
	if len(asked) == 0 || len(asked) > maxLabels {
		refuse(w, http.StatusBadRequest, "send 1 to 500 labels")
		return
	}
	by, _ := p.sessions.of(r)
	for i := range asked {
		asked[i].By, asked[i].At = by, time.Now().UTC().Round(time.Millisecond)
		if err := asked[i].Check(); err != nil {
			refuse(w, http.StatusBadRequest, err.Error())
			return
		}
	}
	kept, err := p.Labels.Put(asked...)
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	for _, l := range kept {
		p.Labelled(l)
	}
	answer(w, kept)
}
