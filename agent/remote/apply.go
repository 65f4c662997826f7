package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"meltwatch/agent/message"
	"meltwatch/agent/remote/commit"
	"meltwatch/config"
	"meltwatch/retry"
)

// request is a document that has passed the checks.
type request struct {
	version  storedVersion
	deadline time.Duration
}

// process checks payloads of config/desired in the order of arrival and applies only
// the newest valid one.
func (m *Manager) process(ctx context.Context, agent Agent, payloads [][]byte) {
	newest, running := (*request)(nil), m.version
	for _, payload := range payloads {
		w, faults := m.read(payload)
		if len(faults) == 0 && m.changedOnPage(w.version) {
			m.by = m.version.Page.By
			m.publishAgain(m.version.Revision, message.Applied, fromPage, nil)
			continue
		}
		if len(faults) == 0 {
			faults = checkOrder(w.version, running, m.config.Remote.SignedConfig)
		}
		if len(faults) > 0 {
			m.publish(w.version.Revision, message.Rejected, fromDesired, faults)
			continue
		}
		newest, running = &w, w.version
	}
	if newest != nil {
		m.apply(ctx, agent, *newest)
	}
}

// read decodes a payload and verifies its signature.
func (m *Manager) read(payload []byte) (w request, faults []message.Fault) {
	w = request{storedVersion{Version: Version{Local: m.version.Local}, Signed: m.version.Signed}, m.config.Remote.Deadline}
	if !m.config.Remote.Config {
		w.version.Revision = m.version.Revision
		return w, message.OneFault("remote.config", "is false on this box: documents on config/desired are ignored")
	}
	if len(payload) == 0 {
		return w, m.unsignedReset()
	}
	d, faults := message.ParseConfigDesired(payload)
	w.version.Revision = d.Revision
	if len(faults) > 0 {
		return w, faults
	}
	if faults = d.Verify(m.settings.Root, m.config.Trust.ConfigKeys, m.config.Remote.SignedConfig); len(faults) > 0 {
		return w, faults
	}
	w.version.Version = Version{d.Revision, m.version.Local, compact(d.Config)}
	w.version.Signature = &Signature{d.DeadlineS, compact(d.Previous), d.Key, d.Signature}
	if d.Signature != "" {
		w.version.Signed = max(w.version.Signed, d.Revision)
	}
	w.deadline = d.Deadline(w.deadline)
	return w, nil
}

// compact removes spaces, as the journal does, so that a version has the same key
// before and after a restart.
func compact(text json.RawMessage) json.RawMessage {
	var out bytes.Buffer
	if json.Compact(&out, text) != nil {
		return text // empty
	}
	return out.Bytes()
}

// apply puts a document on trial, unless it already runs or was rolled back.
func (m *Manager) apply(ctx context.Context, agent Agent, w request) {
	v := w.version
	if v.key() == m.version.key() {
		m.storeSignature(v)
		m.publishAgain(v.Revision, message.Applied, fromDesired, nil) // the broker repeats it at each connection
		return
	}
	for _, refused := range m.journal.Refusals() {
		if refused.Version.key() == v.key() {
			m.publishAgain(v.Revision, refusedStatus(refused.Tried), fromDesired, refused.Faults)
			return
		}
	}
	m.applyVersion(ctx, agent, v, fromDesired, w.deadline)
}

// storeSignature stores the signature of the running version if the journal has another
// one, or none, as release 0.3.0 wrote it.
func (m *Manager) storeSignature(v storedVersion) {
	m.unproven = time.Time{}
	if before := m.version.Signature; v.Revision == 0 || before != nil && (v.Signature.Signature == "" || v.Signature.Signature == before.Signature) {
		return
	}
	if _, trial := m.journal.Trial(); trial {
		return // stored at a later connection, when the trial has settled
	}
	if err := m.journal.Accept(v); err != nil {
		m.observer.Fault(err)
		return
	}
	m.version = v
}

// refusedStatus is the status of a version that was given up.
func refusedStatus(tried bool) string {
	if tried {
		return message.RolledBack
	}
	return message.Rejected
}

// unsignedReset refuses an empty payload if documents must be signed: an empty payload
// carries no signature.
func (m *Manager) unsignedReset() []message.Fault {
	if !m.config.Remote.SignedConfig {
		return nil
	}
	return message.OneFault("signature", "an empty payload cannot be signed, and remote.signed_config is true on this box: send a signed document with config {}")
}

// checkOrder refuses documents that are older than the running version, such as
// replayed ones, and revisions that are too high.
func checkOrder(v, running storedVersion, signed bool) []message.Fault {
	base := commit.Base(running.Revision)
	if signed {
		base = max(base, commit.Base(running.Signed))
	}
	switch {
	case v.Revision == 0 || v.key() == running.key():
		return nil
	case v.Revision > base:
		if err := commit.CheckRevision(v.Revision, base); err != nil {
			return message.OneFault("revision", err.Error())
		}
		return nil
	case v.Revision == base && running.Page != nil:
		return message.OneFault("revision", fmt.Sprintf("%d is already used by a change that %s made on the box's page: publish this one under a higher revision", base, running.Page.By))
	case v.Revision == base:
		return message.OneFault("revision", fmt.Sprintf("%d is already used by another document: publish the change under a higher revision", base))
	default:
		return message.OneFault("revision", fmt.Sprintf("%d is older than %d, the last one accepted: publish it under a higher revision", v.Revision, base))
	}
}

// readLocal reads the local file again, puts it on trial even if it was refused before,
// and records the result for the one who asked.
func (m *Manager) readLocal(ctx context.Context, agent Agent) {
	text, err := m.settings.ReadLocal()
	if err != nil {
		m.publish(m.version.Revision, message.Rejected, fromFile, message.OneFault("", err.Error()))
		m.recordReload(text, m.last)
		return
	}
	m.recordReload(text, m.applyLocal(ctx, agent, text))
}

// applyLocal puts the content of the local file on trial and returns its result.
func (m *Manager) applyLocal(ctx context.Context, agent Agent, text []byte) message.ConfigReport {
	revision := m.version.Revision
	v := m.version.over(text)
	if v.key() == m.version.key() {
		m.publish(v.Revision, message.Applied, fromFile, nil)
		return m.last
	}
	before := m.own
	m.own = storedVersion{Version: Version{Local: text}}
	distrusted := m.distrust(v)
	if len(distrusted) > 0 {
		v = v.alone(text)
	}
	m.applyVersion(ctx, agent, v, fromFile, m.config.Remote.Deadline)
	result := m.last
	switch inForce := string(m.version.Local) == string(text); {
	case !inForce:
		m.own = before
	case len(distrusted) > 0:
		m.publish(revision, message.RolledBack, fromDesired, distrusted)
	}
	return result
}

// applyVersion puts a version on trial, and keeps it or rolls it back.
func (m *Manager) applyVersion(ctx context.Context, agent Agent, v storedVersion, from string, deadline time.Duration) {
	c, err := v.config()
	if err == nil {
		err = asError(config.NeedsRestart(m.config, c))
	}
	if err != nil {
		m.publish(v.Revision, message.Rejected, from, faultsOf(err))
		return
	}
	if config.Digest(c) == config.Digest(m.config) {
		m.accept(v, from)
		return
	}
	if err := m.journal.Stage(v, m.version); err != nil {
		m.observer.Fault(err)
		m.publish(v.Revision, message.Rejected, from, message.OneFault("paths.state", "a change that cannot be recorded on disk is not made: "+err.Error()))
		return
	}
	before, beforeConfig := m.version, m.config
	change, faults := agent.Begin(c)
	if len(faults) > 0 {
		m.refuse(false, faults)
		m.publish(v.Revision, message.Rejected, from, faults)
		return
	}
	m.version, m.config, m.started, m.unproven = v, c, time.Now(), time.Time{}
	m.trial = newTrial(v, deadline)
	m.publish(v.Revision, message.Applying, from, nil)
	if missing := m.prove(ctx, change, deadline, from); len(missing) > 0 {
		m.version, m.config = before, beforeConfig
		m.rollBack(v.Revision, change, from, missing)
	}
}

func asError(p config.Problems) error {
	if len(p) == 0 {
		return nil
	}
	return p
}

// accept records a version that changes no part.
func (m *Manager) accept(v storedVersion, from string) {
	if err := m.journal.Accept(v); err != nil {
		m.observer.Fault(err)
	}
	m.version, m.unproven = v, time.Time{}
	m.publish(v.Revision, message.Applied, from, nil)
}

// prove waits for the progress of the changed parts and, after a change from the page, for
// its confirmation. It returns why the caller must roll back, which the journal has by then.
func (m *Manager) prove(ctx context.Context, change Change, deadline time.Duration, from string) []message.Fault {
	missing := m.wait(ctx, change, time.Now().Add(deadline))
	if ctx.Err() != nil {
		return nil // the next start continues the trial
	}
	if len(missing) == 0 {
		if err := m.journal.Show(); err != nil {
			missing = message.OneFault("paths.state", "the change cannot be recorded on disk: "+err.Error())
		}
	}
	withdrawn := m.trial != nil
	if withdrawn && len(missing) > 0 {
		m.trial.decide(expired)
	}
	m.trial = nil
	m.examineLater()
	if len(missing) > 0 {
		m.giveUp(withdrawn, missing)
		return missing
	}
	change.Keep()
	m.publish(m.version.Revision, message.Applied, from, nil)
	return nil
}

// wait waits until the parts have made progress and the trial, if there is one, is
// confirmed. It returns what is missing at the deadline.
func (m *Manager) wait(ctx context.Context, change Change, deadline time.Time) []message.Fault {
	shown := false
	for {
		m.beat()
		missing := change.Missing()
		if shown = shown || len(missing) == 0; shown {
			missing = nil
		}
		if open, why := m.trial.open(); !open || !shown && time.Now().After(deadline) {
			return append(why, missing...)
		} else if shown && m.trial.confirmed() {
			return nil
		}
		if !retry.Sleep(ctx, progressEvery) {
			return nil
		}
		m.refuseMeanwhile()
		m.settle()
	}
}

// giveUp records that the version on trial is given up. A document that was refused is not
// tried again by itself; a person may propose a change again.
func (m *Manager) giveUp(withdrawn bool, faults []message.Fault) {
	if !withdrawn {
		m.refuse(true, faults)
		return
	}
	if err := m.journal.Withdraw(); err != nil {
		m.observer.Fault(err)
	}
}

func (m *Manager) refuse(tried bool, faults []message.Fault) {
	if err := m.journal.Refuse(tried, faults...); err != nil {
		m.observer.Fault(err)
	}
}

// rollBack restores the previous version and reports why.
func (m *Manager) rollBack(revision int64, change Change, from string, faults []message.Fault) {
	change.Undo()
	m.publish(revision, message.RolledBack, from, faults)
}

// proveStart continues a trial that the last process left, or that an edited file
// began.
func (m *Manager) proveStart(ctx context.Context, agent Agent, before config.Config) {
	revision, from := m.version.Revision, m.last.From
	change := agent.Begun(before)
	if t, ok := m.journal.Trial(); ok && t.Shown {
		change.Keep()
		m.publish(revision, message.Applied, from, nil)
		return
	}
	if m.trial = newTrial(m.version, m.config.Remote.Deadline); m.trial != nil {
		m.tried = revision
	}
	m.show()
	missing := m.prove(ctx, change, m.config.Remote.Deadline, from)
	if len(missing) == 0 {
		return
	}
	if good, ok := m.journal.Good(); ok {
		m.run(good)
	}
	m.rollBack(revision, change, from, missing)
}
