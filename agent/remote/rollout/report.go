package rollout

import (
	"fmt"
	"time"

	"meltwatch/agent/message"
)

// setReport builds the next report, about the live model.
func (m *Manager) setReport(status string, faults []message.Fault) {
	m.setReportOf(m.live, status, faults)
}

func (m *Manager) setReportOf(model ModelID, status string, faults []message.Fault) {
	m.last = message.ModelReport{
		Version: 1, Time: time.Now().UTC().Round(0), Revision: model.Revision, SHA256: model.SHA256,
		Status: status, Errors: message.Bounded(faults), Running: m.live.SHA256, RunningRevision: m.live.Revision,
	}
	if a := m.download; a != nil && status == message.Receiving {
		m.last.Next, m.last.Chunks = a.next, a.chunks
	}
}

// publish publishes the status of a roll-out. Each step is logged once; rejections, which
// any publisher can cause, once a minute.
func (m *Manager) publish(model ModelID, status string, scores *message.ModelScores, faults ...message.Fault) {
	m.setReportOf(model, status, faults)
	m.last.Shadow = scores
	step := fmt.Sprint(status, model.Revision, model.SHA256)
	switch {
	case status == message.Rejected:
		m.rejections.Report(fmt.Errorf("model revision %d, sha256 %.64s, rejected: %v", model.Revision, model.SHA256, m.last.Errors))
	case step == m.logged:
	case len(faults) > 0:
		m.settings.Log.Warn("model roll-out changed status", "status", status, "revision", model.Revision, "sha256", model.SHA256, "errors", m.last.Errors)
	default:
		m.rejections.Over()
		m.settings.Log.Info("model roll-out changed status", "status", status, "revision", model.Revision, "sha256", model.SHA256)
	}
	if status != message.Rejected {
		m.logged = step
	}
	m.settings.Report(m.last)
}
