package remote

import (
	"bytes"
	"context"
	"errors"
	"time"

	"meltwatch/agent/message"
	"meltwatch/agent/remote/commit"
	"meltwatch/config"
)

// resume continues from the state that the last process left.
func (m *Manager) resume(local []byte) {
	good, known := m.journal.Good()
	if !known {
		m.setReport(m.version.Revision, message.Applied, "", nil)
		return
	}
	died, err := m.journal.Started()
	if err != nil {
		m.settings.Log.Warn("start not recorded", "err", err)
	}
	wanted, trial := continued(m.journal, local)
	if _, ok := m.journal.Trial(); ok && !trial {
		m.settings.Log.Warn("change from the page ends unconfirmed, the local file was edited")
		if err := m.journal.Withdraw(); err != nil {
			m.settings.Log.Warn("end of the change not recorded", "err", err)
		}
	}
	if wanted.Page != nil {
		m.by = wanted.Page.By
	}
	refused, stays := staysOut(local, wanted, m.journal.Refusals())
	if died {
		refused, _ = m.journal.Refused()
	}
	if stays {
		m.own = storedVersion{Version: Version{Local: wanted.Local}} // its trusted keys stay in force
	}
	if faults := m.distrust(wanted); len(faults) > 0 {
		m.discard(wanted, faults)
		return
	}
	if wanted.Signature == nil && wanted.Revision > 0 && m.config.Remote.SignedConfig {
		m.unproven = time.Now().Add(unprovenFor)
	}
	m.run(good)
	switch {
	case died:
		m.reportDeath(refused)
	case stays:
		m.setReport(wanted.Revision, refusedStatus(refused.Tried), fromFile, refused.Faults)
	case string(wanted.Local) != string(local):
		// The file was edited while the agent was off.
		m.edited(wanted.over(local))
	case trial:
		m.resumed = new(m.config)
		m.run(wanted)
		m.setReport(m.version.Revision, message.Applying, "", nil)
	default:
		m.setReport(m.version.Revision, message.Applied, "", nil)
	}
}

// reportDeath reports the version under which the agent died too often.
func (m *Manager) reportDeath(refused commit.Refused[storedVersion]) {
	if !refused.Version.onPage() {
		m.setReport(refused.Version.Revision, message.RolledBack, "", refused.Faults)
		return
	}
	m.by = refused.Version.Page.By
	m.setReport(refused.Version.Revision, message.RolledBack, fromPage, refused.Faults)
	m.outcome = m.last
	m.show()
}

// continued returns the version with which a start goes on, and whether it is on trial. A
// change from the page that nobody has confirmed does not outlive an edit of the file under
// it: the file's trial needs no confirmation.
func continued(journal *commit.Journal[storedVersion], local []byte) (wanted storedVersion, trial bool) {
	t, ok := journal.Trial()
	if !ok || t.Version.onPage() && !t.Shown && !bytes.Equal(t.Version.Local, local) {
		wanted, _ = journal.Good()
		return wanted, false
	}
	return t.Version, true
}

// staysOut reports whether the local file is an edit that was rolled back, together
// with the running patch or, if the edit no longer trusts that patch, without it.
func staysOut(local []byte, wanted storedVersion, refusals []commit.Refused[storedVersion]) (refused commit.Refused[storedVersion], stays bool) {
	for _, r := range refusals {
		v := r.Version
		if !bytes.Equal(wanted.Local, local) && bytes.Equal(v.Local, local) && (v.Revision == wanted.Revision || v.Revision == 0) {
			return r, true
		}
	}
	return refused, false
}

// edited puts a local file that has changed since the last start on trial, like any
// other change.
func (m *Manager) edited(v storedVersion) {
	c, err := v.config()
	if err != nil {
		m.setReport(v.Revision, message.Rejected, fromFile, faultsOf(err))
		return
	}
	before := m.config
	if len(config.NeedsRestart(before, c)) > 0 {
		// The identity of the box cannot be on trial, because it cannot be rolled back
		// while the agent runs.
		if err := m.journal.Accept(v); err != nil {
			m.settings.Log.Warn("edited file not recorded", "err", err)
		}
		m.run(v)
		m.setReport(v.Revision, message.Applied, fromFile, nil)
		return
	}
	if err := m.journal.Stage(v, m.version); err != nil {
		m.settings.Log.Warn("edited file not staged", "err", err)
	}
	m.resumed = &before
	m.run(v)
	m.setReport(v.Revision, message.Applying, fromFile, nil)
}

// run sets the running version. A version that is invalid under the rules of a new
// release, or that the box no longer trusts, is replaced by the local file alone, which
// was checked.
func (m *Manager) run(v storedVersion) {
	c, err := v.tolerated()
	if faults := m.distrust(v); err == nil && len(faults) > 0 {
		err = errors.New(faults[0].Key + ": " + faults[0].Message)
	}
	if err == nil {
		m.version, m.config = v, c
		return
	}
	m.settings.Log.Error("stored configuration no longer valid, running the local file alone", "revision", v.Revision, "err", err)
	if c, err = m.own.tolerated(); err == nil { // cannot fail: the file was checked
		m.version, m.config = m.own, c
	}
}

// distrust returns why the current local file does not trust a patch that was accepted
// earlier. A patch from release 0.3.0 is not checked, because its signature was not
// stored.
func (m *Manager) distrust(v storedVersion) []message.Fault {
	own, err := m.own.tolerated()
	if err != nil || v.Revision == 0 || v.Signature == nil || !own.Remote.SignedConfig {
		return nil
	}
	s := v.Signature
	d := message.ConfigDesired{Revision: v.Revision, Config: v.Patch, DeadlineS: s.DeadlineS, Previous: s.Previous, Key: s.Key, Signature: s.Signature}
	return d.Verify(m.settings.Root, own.Trust.ConfigKeys, true)
}

// discard starts with the local file alone, because the version that ran is no longer
// trusted. This is not a trial, because there is no version to roll back to.
func (m *Manager) discard(v storedVersion, faults []message.Fault) {
	m.own = v.alone(m.own.Local)
	m.version = m.own
	if err := m.journal.Accept(m.own); err != nil {
		m.settings.Log.Warn("dropped document not recorded", "err", err)
	}
	m.settings.Log.Error("document no longer trusted, running the local file alone", "revision", v.Revision, "errors", faults)
	m.setReport(v.Revision, message.RolledBack, v.source(), faults)
}

// unprovenFor is how long a patch of release 0.3.0 may run on a box that requires
// signatures until a signed document arrives.
const unprovenFor = 10 * time.Minute

// discardUnproven returns to the local file after unprovenFor. It is a change like any
// other: if the file alone does not work, the patch stays, and this is reported.
func (m *Manager) discardUnproven(ctx context.Context, agent Agent) {
	if m.unproven.IsZero() || time.Now().Before(m.unproven) {
		return
	}
	m.unproven = time.Time{}
	revision := m.version.Revision
	m.applyVersion(ctx, agent, m.version.alone(m.version.Local), fromDesired, m.config.Remote.Deadline)
	if m.version.Revision == 0 {
		m.publish(revision, message.RolledBack, fromDesired, message.OneFault("signature", "was not stored by the previous release, and no signed document arrived: the local file runs alone"))
	}
}
