package remote

import (
	"context"
	"fmt"
	"time"

	"meltwatch/config"
	"meltwatch/retry"
)

// take looks at a payload of config/desired.
func (m *Manager) take(ctx context.Context, box Box, payload []byte) {
	if !m.config.Remote.Config {
		m.say(m.version.Revision, rejected, fromAfar, blame("remote.config", "is false on this box: documents on config/desired are not obeyed"))
		return
	}
	var v Version
	var faults []Fault
	deadline := m.config.Remote.Deadline
	if len(payload) == 0 {
		v, faults = Version{Local: m.version.Local}, m.unsignedReset()
	} else {
		var d Desired
		if d, faults = ParseDesired(payload); len(faults) == 0 {
			faults = d.verify(m.settings.Root, m.config.Trust.ConfigKeys, m.config.Remote.SignedConfig)
		}
		v = Version{d.Revision, m.version.Local, d.Config}
		deadline = d.deadline(deadline)
	}
	if len(faults) == 0 {
		faults = m.order(v)
	}
	if len(faults) > 0 {
		m.say(v.Revision, rejected, fromAfar, faults)
		return
	}
	if v.key() == m.version.key() {
		m.say(v.Revision, applied, fromAfar, nil) // as at each reconnection
		return
	}
	if refused, ok := m.journal.Refused(); ok && refused.Version.key() == v.key() {
		m.say(v.Revision, givenUp(refused.Tried), fromAfar, refused.Faults)
		return
	}
	m.try(ctx, box, v, fromAfar, deadline)
}

// givenUp is the status of what was given up before.
func givenUp(tried bool) string {
	if tried {
		return rolledBack
	}
	return rejected
}

// unsignedReset refuses an empty payload where documents must be signed: anyone
// who may publish could send it.
func (m *Manager) unsignedReset() []Fault {
	if !m.config.Remote.SignedConfig {
		return nil
	}
	return blame("signature", "an empty payload cannot be signed, and remote.signed_config is true on this box: send a signed document with config {}")
}

// order refuses documents that are older than what runs, as a replayed one is.
func (m *Manager) order(v Version) []Fault {
	running := m.version.Revision
	switch {
	case v.Revision == 0 || v.Revision > running || v.key() == m.version.key():
		return nil
	case v.Revision == running:
		return blame("revision", fmt.Sprintf("%d runs already, with another content: publish the change under a higher one", running))
	default:
		return blame("revision", fmt.Sprintf("%d is older than %d, which runs: publish it under a higher one", v.Revision, running))
	}
}

// readLocal looks at the box's own file again. Whoever asks for it wants it
// tried, though it was refused before.
func (m *Manager) readLocal(ctx context.Context, box Box) {
	text, err := m.settings.ReadLocal()
	if err != nil {
		m.say(m.version.Revision, rejected, fromFile, blame("", err.Error()))
		return
	}
	v := Version{m.version.Revision, text, m.version.Patch}
	if v.key() == m.version.key() {
		m.say(v.Revision, applied, fromFile, nil)
		return
	}
	m.try(ctx, box, v, fromFile, m.config.Remote.Deadline)
}

// try runs a version and keeps it or goes back.
func (m *Manager) try(ctx context.Context, box Box, v Version, from string, deadline time.Duration) {
	c, err := v.config()
	if err == nil {
		err = asError(config.NeedsRestart(m.config, c))
	}
	if err != nil {
		m.say(v.Revision, rejected, from, faultsOf(err))
		return
	}
	if config.Digest(c) == config.Digest(m.config) {
		m.accept(v, from)
		return
	}
	if err := m.journal.Stage(v, m.version); err != nil {
		m.observer.Fault(err)
		m.say(v.Revision, rejected, from, blame("paths.state", "a change that cannot be noted on disk is not made: "+err.Error()))
		return
	}
	before, beforeConfig := m.version, m.config
	change, faults := box.Begin(c)
	if len(faults) > 0 {
		m.refuse(false, faults)
		m.say(v.Revision, rejected, from, faults)
		return
	}
	m.version, m.config, m.started = v, c, time.Now()
	m.say(v.Revision, applying, from, nil)
	if !m.prove(ctx, change, deadline, from) {
		m.version, m.config = before, beforeConfig
		m.back(v.Revision, change, from)
	}
}

func asError(p config.Problems) error {
	if len(p) == 0 {
		return nil
	}
	return p
}

// accept takes a version that changes nothing that runs.
func (m *Manager) accept(v Version, from string) {
	if err := m.journal.Accept(v); err != nil {
		m.observer.Fault(err)
	}
	m.version = v
	m.say(v.Revision, applied, from, nil)
}

// prove waits for the progress of the changed parts. False means that the
// journal has given the version up and the caller must go back.
func (m *Manager) prove(ctx context.Context, change Change, deadline time.Duration, from string) bool {
	missing := m.wait(ctx, change, time.Now().Add(deadline))
	if ctx.Err() != nil {
		return true // the next start goes on with the trial
	}
	if len(missing) == 0 {
		if err := m.journal.Show(); err != nil {
			missing = blame("paths.state", "the change cannot be noted on disk: "+err.Error())
		}
	}
	if len(missing) > 0 {
		m.refuse(true, missing)
		return false
	}
	change.Keep()
	m.say(m.version.Revision, applied, from, nil)
	return true
}

func (m *Manager) wait(ctx context.Context, change Change, deadline time.Time) []Fault {
	for {
		m.observer.Beat()
		missing := change.Missing()
		if len(missing) == 0 || time.Now().After(deadline) {
			return missing
		}
		if !retry.Sleep(ctx, look) {
			return nil
		}
		m.settle()
	}
}

func (m *Manager) refuse(tried bool, faults []Fault) {
	if err := m.journal.Refuse(tried, faults...); err != nil {
		m.observer.Fault(err)
	}
}

// back returns to what ran before and says so.
func (m *Manager) back(revision int64, change Change, from string) {
	change.Undo()
	refused, _ := m.journal.Refused()
	m.say(revision, rolledBack, from, refused.Faults)
}

// proveStart goes on with a trial that the last process left, or that an edited
// file began.
func (m *Manager) proveStart(ctx context.Context, box Box, before config.Config) {
	revision, from := m.version.Revision, m.last.From
	change := box.Begun(before)
	if t, ok := m.journal.Trial(); ok && t.Shown {
		change.Keep()
		m.say(revision, applied, from, nil)
		return
	}
	if m.prove(ctx, change, m.config.Remote.Deadline, from) {
		return
	}
	if good, ok := m.journal.Good(); ok {
		m.run(good)
	}
	m.back(revision, change, from)
}
