package remote

import (
	"errors"
	"fmt"
	"time"

	"meltwatch/agent/message"
	"meltwatch/config"
)

// The sources of a configuration: the local file, config/desired and the box's page.
const (
	fromFile    = "file"
	fromDesired = "desired"
	fromPage    = "page"
)

// source is where the patch of a version is from, or the local file.
func (v storedVersion) source() string {
	switch {
	case v.Revision == 0:
		return fromFile
	case v.Page != nil:
		return fromPage
	default:
		return fromDesired
	}
}

// setReport builds the next report. An empty from stands for the source of the running
// version.
func (m *Manager) setReport(revision int64, status, from string, faults []message.Fault) {
	if from == "" {
		from = m.version.source()
	}
	m.last = message.ConfigReport{
		Version: 1, Time: time.Now().UTC().Round(0), Revision: revision, From: from, Status: status, Errors: message.Bounded(faults),
		SHA256: config.Digest(m.config), RunningRevision: m.version.Revision,
	}
	if from == fromPage {
		m.last.By = m.by
	}
	m.show()
}

// publish publishes a document's status. Any publisher can cause rejections as fast as
// the broker delivers, so these are logged once a minute.
func (m *Manager) publish(revision int64, status, from string, faults []message.Fault) {
	m.setReport(revision, status, from, faults)
	switch {
	case status == message.Rejected && from == fromDesired:
		m.rejections.Report(fmt.Errorf("configuration revision %d rejected: %v", revision, m.last.Errors))
	case len(faults) > 0:
		m.settings.Log.Warn("configuration changed status", "status", status, "revision", revision, "from", from, "errors", m.last.Errors)
	default:
		m.rejections.Over()
		m.settings.Log.Info("configuration changed status", "status", status, "revision", revision, "from", from)
	}
	m.settings.Report(m.last)
	if from == fromPage {
		m.outcome = m.last
		m.show()
	}
	m.answer(faults)
}

// publishAgain publishes a document's status again, without logging it as new.
func (m *Manager) publishAgain(revision int64, status, from string, faults []message.Fault) {
	m.setReport(revision, status, from, faults)
	m.settings.Log.Debug("configuration unchanged", "status", status, "revision", revision, "from", from)
	m.settings.Report(m.last)
}

// faultsOf converts the problems of a configuration to faults.
func faultsOf(err error) []message.Fault {
	var problems config.Problems
	if !errors.As(err, &problems) {
		return message.OneFault("", err.Error())
	}
	var faults []message.Fault
	for _, p := range problems {
		text := p.Message
		if p.Line > 0 {
			text += fmt.Sprintf(" (line %d of the local file)", p.Line)
		}
		faults = append(faults, message.Fault{Key: p.Key, Message: text})
	}
	return faults
}
