package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"meltwatch/agent/health"
	"meltwatch/agent/message"
)

// answer sends JSON.
func answer(w http.ResponseWriter, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		http.Error(w, "the answer cannot be encoded", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(text) // the client may have gone
}

// refuse sends an error as JSON.
func refuse(w http.ResponseWriter, status int, why string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": why}) //nolint:errchkjson // the client may have gone
}

// counter counts streams that are open.
type counter struct{ n atomic.Int64 }

// maxStreams bounds the pages that are open at a time.
const maxStreams = 24

// current is what the page shows of the moment.
type current struct {
	Site      string                   `json:"site"`
	Furnace   string                   `json:"furnace"`
	Version   string                   `json:"version"`
	Time      time.Time                `json:"time"`
	State     *message.State           `json:"state"`
	Alarm     *message.Alarm           `json:"alarm"`
	Suspicion *message.Alarm           `json:"suspicion"`
	Health    map[string]health.Status `json:"health"`
	Enter     float64                  `json:"enter"`
	Exit      float64                  `json:"exit"`
	User      string                   `json:"user"`
	CanLogIn  bool                     `json:"can_log_in"`
	Recording bool                     `json:"recording"`
	CropIsSet bool                     `json:"crop_is_set"`
	Crop      Crop                     `json:"crop"`
	Newest    *Point                   `json:"newest"`
	// Configuration tells what is in force, and what is on trial.
	Configuration Configuration `json:"configuration"`
	PageFormat    int           `json:"page_format"`
}

func (p *page) nowFor(user string) current {
	enter, exit := p.Thresholds()
	c := current{
		Site: p.Site, Furnace: p.Furnace, Version: p.Version, Time: time.Now().UTC(),
		State: p.State(), Alarm: p.Alarm(), Health: p.Health(), Enter: enter, Exit: exit,
		User: user, CanLogIn: p.sessions.enabled(), Recording: p.Library != nil, Crop: p.Crop(), PageFormat: 1,
		Configuration: p.Changer.Configuration(),
	}
	if p.Suspicion != nil {
		c.Suspicion = p.Suspicion()
	}
	c.CropIsSet = c.Crop.Width > 0
	if points, _ := p.Live.since(unix(time.Now().Add(-5 * time.Second))); len(points) > 0 {
		c.Newest = &points[len(points)-1]
	}
	return c
}

func (p *page) now(w http.ResponseWriter, r *http.Request) {
	user, _ := p.sessions.of(r)
	answer(w, p.nowFor(user))
}

// live answers with the last minutes.
func (p *page) live(w http.ResponseWriter, _ *http.Request) {
	samples, states := p.Live.since(0)
	answer(w, map[string]any{"samples": samples, "states": states})
}

const (
	streamEvery = 250 * time.Millisecond
	// streamWrite bounds one write to a slow client.
	streamWrite = 5 * time.Second
)

// stream sends the moment each second, and at once when the state changes, as server-sent
// events.
func (p *page) stream(w http.ResponseWriter, r *http.Request) {
	if p.streams.n.Add(1) > maxStreams {
		p.streams.n.Add(-1)
		w.Header().Set("Retry-After", "30")
		refuse(w, http.StatusServiceUnavailable, "too many pages are open")
		return
	}
	defer p.streams.n.Add(-1)
	was, _ := p.sessions.of(r)
	w.Header().Set("Content-Type", "text/event-stream")
	control := http.NewResponseController(w)
	tick := time.NewTicker(streamEvery)
	defer tick.Stop()
	var seq uint64
	var sent time.Time
	at := unix(time.Now())
	for {
		select {
		case <-p.ctx:
			return
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
		user, known := p.sessions.of(r)
		if user != was || !known && !p.local {
			return // logged out: the browser asks again
		}
		s := p.State()
		fresh := s != nil && s.Seq != seq
		if !fresh && time.Since(sent) < 2*time.Second {
			continue
		}
		if s != nil {
			seq = s.Seq
		}
		sent = time.Now()
		at = min(at, unix(time.Now())) // the clock may have been put back
		samples, states := p.Live.since(at)
		if n := len(samples); n > 0 {
			at = samples[n-1].T
		}
		if n := len(states); n > 0 {
			at = max(at, states[n-1].T)
		}
		text, err := json.Marshal(map[string]any{"now": p.nowFor(user), "samples": samples, "states": states})
		if err != nil {
			return
		}
		if control.SetWriteDeadline(time.Now().Add(streamWrite)) != nil {
			return
		}
		if _, err := fmt.Fprintf(w, "data: %s\n\n", text); err != nil {
			return
		}
		if control.Flush() != nil {
			return
		}
	}
}

// view answers with the newest picture; with evidence=1 what speaks for the alarm is
// drawn.
func (p *page) view(w http.ResponseWriter, r *http.Request) {
	picture, err := p.View(r.Context(), r.URL.Query().Get("evidence") == "1")
	if err != nil {
		refuse(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	w.Header().Set("Content-Type", "image/jpeg")
	_, _ = w.Write(picture) // the client may have gone
}

func (p *page) config(w http.ResponseWriter, _ *http.Request) {
	text, err := p.Config()
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte(text)) // the client may have gone
}
