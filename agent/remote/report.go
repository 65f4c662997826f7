package remote

import (
	"fmt"
	"time"

	"meltwatch/agent/remote/commit"
	"meltwatch/config"
)

// Where a document stands.
const (
	applying   = "applying"
	applied    = "applied"
	rejected   = "rejected"
	rolledBack = "rolled_back"
)

// fromFile marks what the box's own file wanted; fromAfar what config/desired
// did.
const (
	fromFile    = "file"
	fromDesired = "desired"
)

// Report is the payload of config/reported.
type Report struct {
	Version int       `json:"v"`
	Time    time.Time `json:"time"`
	// Revision of the last document that was looked at, and where it came from:
	// "desired", or "file" for an edit of the box's own file.
	Revision int64  `json:"revision"`
	From     string `json:"from"`
	// Status is applying, applied, rejected or rolled_back.
	Status string  `json:"status"`
	Errors []Fault `json:"errors"`
	// SHA256 names the effective configuration that runs now, RunningRevision the
	// patch in it; 0 is the local file alone.
	SHA256          string `json:"sha256"`
	RunningRevision int64  `json:"running_revision"`
}

// setReport makes the next report. An empty from is where what runs came from.
func (m *Manager) setReport(revision int64, status, from string, faults []Fault) {
	if from == "" {
		from = fromFile
		if m.version.Revision > 0 {
			from = fromDesired
		}
	}
	m.last = Report{
		Version: 1, Time: time.Now().UTC().Round(0), Revision: revision, From: from, Status: status, Errors: commit.Bounded(faults),
		SHA256: config.Digest(m.config), RunningRevision: m.version.Revision,
	}
}

// publish publishes a document's status. Any publisher can cause rejections as fast as
// the broker delivers, so these are logged once a minute.
func (m *Manager) publish(revision int64, status, from string, faults []Fault) {
	m.setReport(revision, status, from, faults)
	switch {
	case status == rejected && from == fromDesired:
		m.rejections.Report(fmt.Errorf("configuration revision %d rejected: %v", revision, m.last.Errors))
	case len(faults) > 0:
		m.settings.Log.Warn("configuration", "status", status, "revision", revision, "from", from, "errors", m.last.Errors)
	default:
		m.rejections.Over()
		m.settings.Log.Info("configuration", "status", status, "revision", revision, "from", from)
	}
	m.settings.Report(m.last)
}

// publishAgain publishes a document's status again, without logging it as new.
func (m *Manager) publishAgain(revision int64, status, from string, faults []Fault) {
	m.setReport(revision, status, from, faults)
	m.settings.Log.Debug("configuration unchanged", "status", status, "revision", revision, "from", from)
	m.settings.Report(m.last)
}
