package web

import (
	"net/http"
	"time"

	"meltwatch/agent/beside"
)

// Prober probes the meters and the camera in force, beside the watch. It is safe for
// concurrent use.
type Prober interface {
	// Status is the probe that runs, and the last one.
	Status() Probing
	// Start starts a probe; Cancel ends the one that runs.
	Start(by string) error
	Cancel(by string) error
}

// Probing is what is known of probes; both are nil before the first.
type Probing struct {
	Running *Probe `json:"running"`
	Last    *Probe `json:"last"`
}

// Probe is one probe.
type Probe struct {
	By    string    `json:"by"`
	Began time.Time `json:"began"`
	// Parts are what was found so far: the meters, then the camera.
	Parts []beside.Part `json:"parts"`
	// Fault is why it ended before all parts were probed.
	Fault string `json:"fault,omitempty"`
}

// probeable reports whether devices can be probed here, or answers why not.
func (p *page) probeable(w http.ResponseWriter) bool {
	if p.Prober == nil {
		refuse(w, http.StatusNotFound, "this agent has no devices to probe")
	}
	return p.Prober != nil
}

func (p *page) probing(w http.ResponseWriter, _ *http.Request) {
	if p.probeable(w) {
		answer(w, p.Prober.Status())
	}
}

// probe answers a request that starts or cancels a probe.
func (p *page) probe(act func(Prober, string) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var asked struct{}
		if !p.probeable(w) || !read(w, r, &asked) {
			return
		}
		by, _ := p.sessions.of(r)
		if err := act(p.Prober, by); err != nil {
			refuse(w, http.StatusConflict, err.Error())
			return
		}
		answer(w, p.Prober.Status())
	}
}
