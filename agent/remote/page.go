package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	"meltwatch/agent/message"
	"meltwatch/agent/remote/commit"
	"meltwatch/config"
)

// Page says that a person made a patch on the box's page.
type Page struct {
	By string `json:"by"`
	// Over and OverPatch are the document from config/desired over which it was made, 0 for
	// the local file alone. The broker goes on repeating that document.
	Over      int64           `json:"over,omitempty"`
	OverPatch json.RawMessage `json:"over_patch,omitempty"`
	// Confirm tells that a trial of the patch must be confirmed on the page.
	Confirm bool `json:"confirm,omitempty"`
}

// onPage reports whether a person made the patch on the page. Nobody offers it again by
// itself.
func (v storedVersion) onPage() bool { return v.Page != nil && v.Page.Confirm }

// confirmFor is how long a person has to confirm a change, once its parts may have taken
// their whole deadline.
const confirmFor = time.Minute

// The decision on a trial.
const (
	undecided int32 = iota
	keep
	withdraw
	expired
)

// trial is a change from the page that waits for its confirmation. Its methods accept nil,
// for a change that needs none.
type trial struct {
	revision int64
	by       string
	lasts    time.Duration
	until    time.Time
	decision atomic.Int32
}

// newTrial begins the trial of a version whose parts have a deadline, nil for a version that
// needs no confirmation.
func newTrial(v storedVersion, deadline time.Duration) *trial {
	if !v.onPage() {
		return nil
	}
	lasts := deadline + confirmFor
	return &trial{revision: v.Revision, by: v.Page.By, lasts: lasts, until: time.Now().Add(lasts)}
}

func (t *trial) confirmed() bool { return t == nil || t.decision.Load() == keep }

// open reports whether the trial may still be confirmed or is, and why not.
func (t *trial) open() (bool, []message.Fault) {
	switch {
	case t == nil:
		return true, nil
	case time.Now().After(t.until) && t.decision.CompareAndSwap(undecided, expired):
		return false, message.OneFault("", fmt.Sprintf("was not confirmed on the page within %s: propose it again, and confirm it in time", t.lasts))
	case t.decision.Load() == withdraw:
		return false, message.OneFault("", "was withdrawn on the page")
	default:
		return true, nil
	}
}

// decide confirms or withdraws a trial, and reports whether it was open.
func (t *trial) decide(decision int32) bool { return t.decision.CompareAndSwap(undecided, decision) }

// seen is what other goroutines see of the manager.
type seen struct {
	version storedVersion
	config  config.Config
	trial   *trial
	report  message.ConfigReport
	outcome message.ConfigReport // the last report on a change from the page
}

func (m *Manager) show() { m.seen.Store(&seen{m.version, m.config, m.trial, m.last, m.outcome}) }

// View is the configuration in force and what may be done to it on the page.
type View struct {
	Config config.Config
	// SHA256 identifies the configuration, Revision its patch; From is where the patch is
	// from and By who made it on the page.
	SHA256   string
	Revision int64
	From, By string
	// Closed is why the page may not change it; empty if it may.
	Closed []message.Fault
	// Trial is a change from the page that waits for its confirmation, or nil. Outcome is the
	// last report on a change from the page; its Revision is 0 before the first.
	Trial   *TrialView
	Outcome message.ConfigReport
}

// TrialView is a change from the page on trial.
type TrialView struct {
	Revision int64
	By       string
	Left     time.Duration
}

// View returns what is in force now.
func (m *Manager) View() View {
	now := m.seen.Load()
	v := View{
		Config: now.config, SHA256: now.report.SHA256, Revision: now.version.Revision, From: now.version.source(),
		Closed: closed(now.config.Remote), Outcome: now.outcome,
	}
	if now.version.Page != nil {
		v.By = now.version.Page.By
	}
	if t := now.trial; t != nil {
		v.Trial = &TrialView{t.revision, t.by, max(time.Until(t.until), 0)}
	}
	return v
}

// closed is why the page may not change the configuration. A change from the page is not
// signed, so it is refused where an unsigned document is.
func closed(c config.Remote) []message.Fault {
	switch {
	case !c.Config:
		return message.OneFault("remote.config", "is false on this box: the configuration is changed only in the box's own file")
	case c.SignedConfig:
		return message.OneFault("remote.signed_config", "is true on this box, and a change from the page is not signed: send a signed document with meltctl config set --key, or edit the box's own file")
	default:
		return nil
	}
}

// Proposal is a change that a person at the page asks for.
type Proposal struct {
	By string
	// Over is the SHA256 of the configuration that the person saw.
	Over string
	// Change is a merge patch over the configuration in force.
	Change json.RawMessage
}

// ask is a proposal that waits for its first report.
type ask struct {
	Proposal
	answer chan<- []message.Fault
}

// Preview returns the settings that a change would change. The faults are why it would be
// refused.
func (m *Manager) Preview(change json.RawMessage) ([]config.Difference, []message.Fault) {
	now := m.seen.Load()
	if faults := closed(now.config.Remote); len(faults) > 0 {
		return nil, faults
	}
	_, differences, faults := now.version.changed(now.config, change)
	return differences, faults
}

// changed returns the version that a change over the running one makes, checked as a
// document is, and the settings that it changes.
func (v storedVersion) changed(running config.Config, change json.RawMessage) (Version, []config.Difference, []message.Fault) {
	patch, err := config.Composed(v.Local, v.Patch, change)
	if err != nil {
		return Version{}, nil, faultsOf(err)
	}
	next := Version{Local: v.Local, Patch: compact(patch)}
	if len(next.Patch) > message.MaxConfigDesired {
		return Version{}, nil, message.OneFault("", fmt.Sprintf("the changes together are over %d KiB: put some into the box's own file", message.MaxConfigDesired>>10))
	}
	c, err := next.config()
	if err == nil {
		err = asError(config.NeedsRestart(running, c))
	}
	if err != nil {
		return Version{}, nil, faultsOf(err)
	}
	differences, err := config.Differences(running, c)
	if err != nil {
		return Version{}, nil, message.OneFault("", err.Error())
	}
	if len(differences) == 0 {
		return Version{}, nil, message.OneFault("", "the change changes nothing: the configuration in force has these values already")
	}
	return next, differences, nil
}

// Propose puts a change on trial, or returns why not. It returns once the parts are being
// replaced; Confirm keeps the change.
func (m *Manager) Propose(ctx context.Context, p Proposal) []message.Fault {
	if now := m.seen.Load(); now.trial != nil || now.report.Status == message.Applying {
		return now.onTrial()
	}
	answer := make(chan []message.Fault, 1)
	select {
	case m.proposals <- ask{p, answer}:
	case <-ctx.Done():
		return message.OneFault("", "another change is being made: try again in a minute")
	}
	select {
	case faults := <-answer:
		return faults
	case <-ctx.Done():
		return message.OneFault("", "the agent has not answered yet: the page shows what becomes of the change")
	}
}

// onTrial refuses a change because another one is on trial.
func (s *seen) onTrial() []message.Fault {
	what := "a change of the box's own file"
	switch {
	case s.trial != nil:
		what = fmt.Sprintf("revision %d from the page, by %s", s.trial.revision, s.trial.by)
	case s.report.From == fromDesired:
		what = fmt.Sprintf("revision %d from the desk", s.report.Revision)
	}
	return message.OneFault("", what+", is on trial: changes are made one at a time, so wait until it has ended")
}

// Confirm keeps the change on trial with a revision; Withdraw rolls it back at once.
func (m *Manager) Confirm(revision int64) []message.Fault { return m.decide(revision, keep) }

// Withdraw is described at Confirm.
func (m *Manager) Withdraw(revision int64) []message.Fault { return m.decide(revision, withdraw) }

func (m *Manager) decide(revision int64, decision int32) []message.Fault {
	if t := m.seen.Load().trial; t == nil || t.revision != revision || !t.decide(decision) {
		return message.OneFault("revision", fmt.Sprintf("%d is not on trial any more: look at the configuration in force", revision))
	}
	return nil
}

// propose puts a proposal on trial.
func (m *Manager) propose(ctx context.Context, agent Agent, a ask) {
	v, faults := m.proposed(a.Proposal)
	if len(faults) > 0 {
		a.answer <- faults
		return
	}
	m.asked, m.tried, m.by = a.answer, v.Revision, a.By
	m.applyVersion(ctx, agent, v, fromPage, m.config.Remote.Deadline)
}

// answer tells who asked for a change what the first report on it said.
func (m *Manager) answer(faults []message.Fault) {
	if m.asked != nil {
		m.asked <- faults
		m.asked = nil
	}
}

// proposed is the version that a proposal makes.
func (m *Manager) proposed(p Proposal) (storedVersion, []message.Fault) {
	if faults := closed(m.config.Remote); len(faults) > 0 {
		return storedVersion{}, faults
	}
	if p.Over != config.Digest(m.config) {
		return storedVersion{}, message.OneFault("", "the configuration has changed meanwhile: look at it again, and propose the change anew")
	}
	version, _, faults := m.version.changed(m.config, p.Change)
	if len(faults) > 0 {
		return storedVersion{}, faults
	}
	var err error
	if version.Revision, err = m.nextRevision(); err != nil {
		return storedVersion{}, message.OneFault("revision", err.Error())
	}
	page := Page{By: p.By, Over: m.version.Revision, OverPatch: m.version.Patch, Confirm: true}
	if before := m.version.Page; before != nil {
		page.Over, page.OverPatch = before.Over, before.OverPatch
	}
	return storedVersion{Version: version, Signature: &Signature{}, Signed: m.version.Signed, Page: &page}, nil
}

// nextRevision is higher than every revision that the agent has accepted or tried.
func (m *Manager) nextRevision() (int64, error) {
	base := commit.Base(m.version.Revision)
	next := max(base, commit.Base(m.version.Signed), m.tried)
	for _, refused := range m.journal.Refusals() {
		if commit.CheckRevision(refused.Version.Revision, base) == nil {
			next = max(next, refused.Version.Revision)
		}
	}
	return next + 1, commit.CheckRevision(next+1, base)
}

// changedOnPage reports whether a document is the one that a person has changed on the page
// since. The broker repeats it at each connection.
func (m *Manager) changedOnPage(v storedVersion) bool {
	p := m.version.Page
	return p != nil && v.Revision > 0 && p.Over == v.Revision && bytes.Equal(p.OverPatch, v.Patch)
}

// maxLater bounds the documents that are examined after a trial; the oldest is dropped.
const maxLater = 16

// refuseMeanwhile refuses further proposals while a change is on trial, and documents while
// it is one from the page. The broker does not repeat them within a connection, so the
// manager keeps them for examineLater.
func (m *Manager) refuseMeanwhile() {
	select {
	case a := <-m.proposals:
		a.answer <- m.seen.Load().onTrial()
	default:
	}
	if m.trial == nil {
		return
	}
	for _, payload := range m.mailbox.Take() {
		w, faults := m.read(payload)
		if len(faults) == 0 && (m.changedOnPage(w.version) || w.version.key() == m.version.key()) {
			continue
		}
		if len(faults) == 0 {
			faults = message.OneFault("", fmt.Sprintf("a change that %s made on the box's page is on trial for %s at most: this document is examined after it",
				m.trial.by, max(time.Until(m.trial.until), 0).Round(time.Second)))
			m.later = append(m.later, payload)
			m.later = m.later[max(len(m.later)-maxLater, 0):]
		}
		m.publish(w.version.Revision, message.Rejected, fromDesired, faults)
	}
}

// examineLater examines the documents that came during a trial, now that it has ended, and
// those that have come since after them.
func (m *Manager) examineLater() {
	for _, payload := range append(m.later, m.mailbox.Take()...) {
		m.mailbox.Put(payload)
	}
	m.later = nil
}
