package web

import (
	"net/http"
	"time"

	"meltwatch/agent/compare"
)

// Comparer compares the model in force with a candidate, on the labelled stretches of the
// recording. It is safe for concurrent use.
type Comparer interface {
	// Status is what is known of models and of the comparison that runs; Last is the last
	// result, nil before the first.
	Status() Comparing
	Last() (*compare.Comparison, error)
	// Start starts a comparison with a candidate, by its id; Cancel ends the one that runs.
	Start(candidate, by string) error
	Cancel(by string) error
}

// Comparing is what the page shows beside a result.
type Comparing struct {
	InForce    compare.Model      `json:"in_force"`
	Candidates []Candidate        `json:"candidates"`
	Running    *RunningComparison `json:"running"`
	// Fault is why the last comparison gave no result.
	Fault string `json:"fault,omitempty"`
}

// The origins of a candidate.
const (
	OriginFolder     = "folder"     // of candidates
	OriginReceived   = "received"   // from the broker
	OriginConfigured = "configured" // model.path
)

// Candidate is a model that may replace the one in force.
type Candidate struct {
	// ID is the SHA-256 of its manifest, empty if that cannot be read.
	ID      string `json:"id"`
	Name    string `json:"name"`
	Version string `json:"version"`
	Origin  string `json:"origin"`
	// Fault is why it cannot replace the model in force.
	Fault string `json:"fault,omitempty"`
}

// RunningComparison is a comparison that runs.
type RunningComparison struct {
	Candidate Candidate `json:"candidate"`
	By        string    `json:"by"`
	Began     time.Time `json:"began"`
	// Done of Of recorded seconds are decided; Of is 0 until both models are loaded.
	Done int `json:"done"`
	Of   int `json:"of"`
}

// comparable reports whether models can be compared here, or answers why not.
func (p *page) comparable(w http.ResponseWriter) bool {
	if p.Comparer == nil || p.Library == nil {
		refuse(w, http.StatusNotFound, errNoRecording.Error())
		return false
	}
	return true
}

func (p *page) comparing(w http.ResponseWriter, _ *http.Request) {
	if p.comparable(w) {
		answer(w, p.Comparer.Status())
	}
}

func (p *page) comparison(w http.ResponseWriter, _ *http.Request) {
	if !p.comparable(w) {
		return
	}
	last, err := p.Comparer.Last()
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	answer(w, last)
}

func (p *page) startComparison(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Candidate string `json:"candidate"`
	}
	if !p.comparable(w) || !read(w, r, &asked) {
		return
	}
	if asked.Candidate == "" {
		refuse(w, http.StatusBadRequest, "candidate: is missing: name the model by its id")
		return
	}
	by, _ := p.sessions.of(r)
	if err := p.Comparer.Start(asked.Candidate, by); err != nil {
		refuse(w, http.StatusConflict, err.Error())
		return
	}
	answer(w, p.Comparer.Status())
}

func (p *page) cancelComparison(w http.ResponseWriter, r *http.Request) {
	var asked struct{}
	if !p.comparable(w) || !read(w, r, &asked) {
		return
	}
	by, _ := p.sessions.of(r)
	if err := p.Comparer.Cancel(by); err != nil {
		refuse(w, http.StatusConflict, err.Error())
		return
	}
	ofDisk(p.comparisons, p.comparing)(w, r) // only the answer needs the disk
}
