package rollout

import (
	"fmt"
	"time"

	"meltwatch/agent/remote/commit"
)

// Where a roll-out stands.
const (
	receiving  = "receiving"
	checking   = "checking"
	shadowing  = "shadowing"
	watching   = "watching" // decides, and may still have to go back
	statusLive = "live"
	rejected   = "rejected"
	rolledBack = "rolled_back"
)

// Report is the payload of model/reported.
type Report struct {
	Version int       `json:"v"`
	Time    time.Time `json:"time"`
	// Revision and SHA256 are of the last document that was looked at; SHA256 is
	// empty for the box's own model.
	Revision int64   `json:"revision"`
	SHA256   string  `json:"sha256"`
	Status   string  `json:"status"`
	Errors   []Fault `json:"errors"`
	// Next is the chunk that is wanted next, of Chunks, while receiving.
	Next   int64 `json:"next_chunk"`
	Chunks int64 `json:"chunks"`
	// Running is the package of the model that decides now.
	Running         string `json:"running_sha256"`
	RunningRevision int64  `json:"running_revision"`
	// Shadow compares the two models while the new one shadows, and after.
	Shadow *Scores `json:"shadow,omitempty"`
}

// Scores compare two models over the seconds that both decided.
type Scores struct {
	Seconds int `json:"seconds"`
	// Agreement is the share of seconds in which both lie on the same side of 0.5.
	Agreement float64 `json:"agreement"`
	// OldP and NewP are the means of p(abnormal).
	OldP float64 `json:"old_p_mean"`
	NewP float64 `json:"new_p_mean"`
	// Faults are seconds that the new model did not decide though the old one did.
	Faults int `json:"faults"`
	// LatencyMS is the 95th percentile of what the new model took, MemoryMB what
	// its process holds (1 MB is 10⁶ bytes).
	LatencyMS float64 `json:"latency_p95_ms"`
	MemoryMB  float64 `json:"memory_mb"`
}

// setReport makes the next report, about the model that decides.
func (m *Manager) setReport(status string, faults []Fault) { m.setReportOf(m.live, status, faults) }

func (m *Manager) setReportOf(model ModelID, status string, faults []Fault) {
	m.last = Report{
		Version: 1, Time: time.Now().UTC().Round(0), Revision: model.Revision, SHA256: model.SHA256,
		Status: status, Errors: commit.Bounded(faults), Running: m.live.SHA256, RunningRevision: m.live.Revision,
	}
	if a := m.download; a != nil && status == receiving {
		m.last.Next, m.last.Chunks = a.next, a.chunks
	}
}

// publish publishes the status of a roll-out. Each step is logged once; rejections, which
// any publisher can cause, once a minute.
func (m *Manager) publish(model ModelID, status string, scores *Scores, faults ...Fault) {
	m.setReportOf(model, status, faults)
	m.last.Shadow = scores
	step := fmt.Sprint(status, model.Revision, model.SHA256)
	switch {
	case status == rejected:
		m.rejections.Report(fmt.Errorf("model revision %d, sha256 %.64s, rejected: %v", model.Revision, model.SHA256, m.last.Errors))
	case step == m.logged:
	case len(faults) > 0:
		m.settings.Log.Warn("model roll-out", "status", status, "revision", model.Revision, "sha256", model.SHA256, "errors", m.last.Errors)
	default:
		m.rejections.Over()
		m.settings.Log.Info("model roll-out", "status", status, "revision", model.Revision, "sha256", model.SHA256)
	}
	if status != rejected {
		m.logged = step
	}
	m.settings.Report(m.last)
}
