// Package remote changes the agent's configuration on request over MQTT, and rolls it
// back if the change does not work.
//
// A configuration is a pair: the box's local file, and a JSON merge patch over it from
// the retained topic config/desired. Whenever one of them changes, or a connection
// begins, the pair is
//
//	parsed ▸ checked whole ▸ staged on disk ▸ applied ▸ shown to work ▸ kept
//	   └─ rejected ─┘                            └── or rolled back ──┘
//
// and config/reported holds its status. Applied means that the parts of the agent whose
// section differs are replaced, and no others. Shown to work means that each of them
// has made progress (a sample, a frame, a verdict, a PUBACK) before the deadline.
// Package commit stores the state across a kill at any step.
//
// Package agent decides which part is built from which section, behind the interface
// Agent. A pair that was rolled back is not tried again until it changes. A rejected
// pair is checked again, with the same result.
//
// A person at the box's page may propose a change too. It takes the same road as an
// unsigned document, over the configuration in force, and must be confirmed on the page
// before its trial ends. Changes are tried one at a time.
//
// The goroutine of Run owns all state. Payloads and signals reach it through Desired
// and Reload, which never block, and proposals through Propose.
package remote

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"meltwatch/agent/message"
	"meltwatch/agent/remote/commit"
	"meltwatch/agent/remote/mailbox"
	"meltwatch/config"
	"meltwatch/durable"
	"meltwatch/retry"
	"meltwatch/tick"
)

// Version is a configuration: the content of the local file and the patch over it.
type Version struct {
	// Revision is that of the patch, 0 for the local file alone.
	Revision int64           `json:"revision"`
	Local    []byte          `json:"local"`
	Patch    json.RawMessage `json:"patch,omitempty"`
}

// storedVersion is a version in the journal.
type storedVersion struct {
	Version
	// Signature is that of the patch; nil for the local file alone, and in a journal of
	// release 0.3.0.
	Signature *Signature `json:"signature,omitempty"`
	// Signed is the highest revision of a signed document. If documents must be signed,
	// no older one is accepted, even after an unsigned one.
	Signed int64 `json:"signed,omitempty"`
	// Page is set for a patch that a person made on the box's page.
	Page *Page `json:"page,omitempty"`
}

// over returns the same patch over another content of the local file.
func (v storedVersion) over(local []byte) storedVersion {
	v.Local = local
	if v.Page != nil {
		confirmed := *v.Page
		confirmed.Confirm = false // the file is on trial, not the patch
		v.Page = &confirmed
	}
	return v
}

// kindOf is where a version is from that was to replace the good one.
func kindOf(good, v storedVersion) string {
	switch {
	case v.onPage():
		return fromPage
	case !bytes.Equal(good.Local, v.Local):
		return fromFile
	default:
		return fromDesired
	}
}

// alone returns the local file without the patch.
func (v storedVersion) alone(local []byte) storedVersion {
	only := storedVersion{Version: Version{Local: local}}
	if v.Signature == nil || v.Signature.Signature == "" {
		only.Signed = v.Signed
	} // otherwise the key is no longer trusted, and the revisions that it signed do not count
	return only
}

// Signature holds the remaining fields of a signed document, so that the document can
// be verified again.
type Signature struct {
	DeadlineS int             `json:"deadline_s,omitempty"`
	Previous  json.RawMessage `json:"previous,omitempty"`
	Key       string          `json:"key,omitempty"`
	Signature string          `json:"signature,omitempty"`
}

func (v Version) config() (config.Config, error) { return config.Merged(v.Local, v.Patch) }

// tolerated is config for the version that ran before this start, and for the local
// file at the start: a configuration that the previous release accepted must run again.
func (v Version) tolerated() (config.Config, error) {
	c, _, err := config.MergeTolerated(v.Local, v.Patch)
	return c, err
}

// key identifies a version.
func (v Version) key() string {
	hash := sha256.New()
	for _, part := range [][]byte{binary.BigEndian.AppendUint64(nil, uint64(v.Revision)), v.Local, v.Patch} {
		hash.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		hash.Write(part)
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// Agent is the running agent.
type Agent interface {
	// Begin replaces the parts whose sections differ from the running configuration. If
	// it returns faults, nothing has changed.
	Begin(wanted config.Config) (Change, []message.Fault)
	// Begun returns the change from before to the configuration with which the agent
	// started.
	Begun(before config.Config) Change
}

// Change is a set of replaced parts on trial.
type Change interface {
	// Missing lists the parts without progress, with the reasons; it is empty once all
	// have made progress.
	Missing() []message.Fault
	// Keep stops the previous instances that still run; Undo restores the previous
	// instances.
	Keep()
	Undo()
}

// Observer receives the status of the manager.
type Observer interface {
	Beat()
	OK()
	Fault(error)
	Count(map[string]uint64)
}

// Settings configure a Manager.
type Settings struct {
	Files      durable.Files
	KernelBoot string
	// Root is the start of the furnace's topics; a signature is valid for one furnace.
	Root string
	// ReadLocal reads the local file.
	ReadLocal func() ([]byte, error)
	// Report publishes config/reported; it must not block.
	Report func(message.ConfigReport)
	Log    *slog.Logger
}

// Manager changes the configuration; nothing else does.
type Manager struct {
	settings Settings
	journal  *commit.Journal[storedVersion]
	observer Observer

	own     storedVersion // the local file alone
	version storedVersion // the running version
	config  config.Config
	started time.Time // when it began to run
	last    message.ConfigReport
	resumed *config.Config // the configuration before the version on trial at start
	// unproven is when a patch of release 0.3.0, whose signature was not stored, is
	// dropped.
	unproven time.Time
	// rejections are logged when they begin, and once a minute.
	rejections retry.Faults

	mailbox *mailbox.Mailbox
	reload  chan struct{}

	// proposals are changes that persons at the page ask for.
	proposals chan ask
	asked     chan<- []message.Fault // waits for the next report, or nil
	trial     *trial                 // of a change from the page, or nil
	by        string                 // who made the last change from the page
	later     [][]byte               // documents that came while a change from the page was on trial
	tried     int64                  // the highest revision that a change from the page has had
	outcome   message.ConfigReport   // the last report on a change from the page
	seen      atomic.Pointer[seen]
}

const (
	// minute is how long a process must run a version before it settles.
	minute = time.Minute
	// progressEvery is the interval at which the progress of changed parts is checked.
	progressEvery = 100 * time.Millisecond
	beat          = time.Second
)

// Open returns the manager and the configuration to run at start. local is the content
// of the local file, which must be valid.
func Open(s Settings, local []byte) (*Manager, config.Config, error) {
	m := &Manager{settings: s, mailbox: mailbox.New(), reload: make(chan struct{}, 1), proposals: make(chan ask), started: time.Now()}
	m.rejections.Log = s.Log
	var err error
	if m.journal, err = commit.Open[storedVersion](s.Files, journalFile, s.KernelBoot); err != nil {
		s.Log.Error("remote configuration not resumed", "err", err)
	}
	m.journal.Kind = kindOf
	m.own = storedVersion{Version: Version{Local: local}}
	m.version = m.own
	if m.config, err = m.version.tolerated(); err != nil {
		return nil, config.Config{}, err
	}
	m.resume(local)
	return m, m.config, nil
}

const journalFile = "config.json"

// Desired queues a payload of config/desired. Of several waiting payloads the newest
// valid one is applied. It never blocks.
func (m *Manager) Desired(payload []byte) { m.mailbox.Put(payload) }

// Reload requests a new reading of the local file. It never blocks.
func (m *Manager) Reload() {
	select {
	case m.reload <- struct{}{}:
	default:
	}
}

// Run serves until ctx ends.
func (m *Manager) Run(ctx context.Context, agent Agent, observer Observer) error {
	m.observer = observer
	observer.OK()
	m.settings.Report(m.last)
	if m.resumed != nil {
		before := *m.resumed
		m.resumed = nil
		m.proveStart(ctx, agent, before)
	}
	round := tick.New(beat)
	defer round.Stop()
	for {
		m.beat()
		select {
		case <-ctx.Done():
			return m.end()
		case <-m.mailbox.News():
			m.process(ctx, agent, m.mailbox.Take())
		case <-m.reload:
			m.readLocal(ctx, agent)
		case a := <-m.proposals:
			m.propose(ctx, agent, a)
		case <-round.C:
			round.Next()
			m.settle()
			m.discardUnproven(ctx, agent)
		}
	}
}

// beat reports to the observer that the manager is alive, and how many payloads were
// dropped.
func (m *Manager) beat() {
	m.observer.Beat()
	m.observer.Count(map[string]uint64{"dropped_documents": m.mailbox.Dropped()})
}

// end records that the end is planned.
func (m *Manager) end() error {
	if err := m.journal.Ended(); err != nil {
		return fmt.Errorf("record the end: %w", err)
	}
	return nil
}

// settle makes the running version the good one after a minute.
func (m *Manager) settle() {
	t, ok := m.journal.Trial()
	if !ok || time.Since(m.started) < minute || !t.Running && !t.Shown {
		return
	}
	if err := m.journal.Lived(); err != nil {
		m.observer.Fault(err)
		m.started = time.Now().Add(retry.MaxWait - minute) // try the disk again later
		return
	}
	m.observer.OK()
}
