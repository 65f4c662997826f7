// Package remote changes the agent's configuration from afar, and back when the
// change does not work.
//
// What is wanted is a pair: the box's own file, and a JSON merge patch over it
// that the retained topic config/desired holds. Whenever one of them changes, or
// a connection begins, the pair is
//
//	parsed ▸ checked whole ▸ staged on disk ▸ applied ▸ shown to work ▸ kept
//	   └─ rejected ─┘                            └── or rolled back ──┘
//
// and config/reported says where it stands. Applied means that the parts of the
// agent whose section differs are replaced, and no other; shown to work, that
// each of those has made progress (a sample, a frame, a verdict, a PUBACK)
// before the deadline. Package commit holds what a kill at any step leaves.
//
// Which part is built from which section is package main's business (parts.go),
// behind Box. A pair that was rolled back is not tried again until it changes;
// one that was rejected is checked again, which costs nothing and gives the same
// answer.
//
// One goroutine, Run's, owns it all; payloads and signals reach it through
// Desired and Reload, which never block.
package remote

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"meltwatch/agent/message"
	"meltwatch/agent/remote/commit"
	"meltwatch/agent/remote/mailbox"
	"meltwatch/config"
	"meltwatch/durable"
	"meltwatch/retry"
)

// Version is a configuration: a local file's document and the patch over it.
type Version struct {
	// Revision is the patch's, 0 for the local file alone.
	Revision int64           `json:"revision"`
	Local    []byte          `json:"local"`
	Patch    json.RawMessage `json:"patch,omitempty"`
}

// storedVersion is a version as the journal keeps it.
type storedVersion struct {
	Version
	// Signature came with the patch; nil for the local file alone, and in a journal
	// of 0.3.0.
	Signature *Signature `json:"signature,omitempty"`
	// Signed is the highest revision of a signed document. If documents must be
	// signed, no older one is accepted again, even after an unsigned one.
	Signed int64 `json:"signed,omitempty"`
}

// alone is the local file without its patch.
func (k storedVersion) alone(local []byte) storedVersion {
	only := storedVersion{Version: Version{Local: local}}
	if k.Signature == nil || k.Signature.Signature == "" {
		only.Signed = k.Signed
	} // else the key has gone, and with it whatever it signed
	return only
}

// Signature is the rest of a signed document, kept so that it can be verified again
// with the box's keys.
type Signature struct {
	DeadlineS int             `json:"deadline_s,omitempty"`
	Previous  json.RawMessage `json:"previous,omitempty"`
	Key       string          `json:"key,omitempty"`
	Signature string          `json:"signature,omitempty"`
}

func (v Version) config() (config.Config, error) { return config.Merged(v.Local, v.Patch) }

// tolerated is config for the version that ran before this start, and for the box's
// own file at the start: what the previous release accepted must run again.
func (v Version) tolerated() (config.Config, error) {
	c, _, err := config.MergeTolerated(v.Local, v.Patch)
	return c, err
}

// key tells versions apart.
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
	// Begin replaces the parts whose sections differ from what runs. When it
	// returns faults, nothing has changed.
	Begin(wanted config.Config) (Change, []message.Fault)
	// Begun is the change from before to what the agent was started with.
	Begun(before config.Config) Change
}

// Change is a set of replaced parts on trial.
type Change interface {
	// Missing names what has made no progress yet, and why; empty once all have.
	Missing() []message.Fault
	// Keep ends what the replaced parts left running; Undo brings it back.
	Keep()
	Undo()
}

// Observer is told how the manager fares.
type Observer interface {
	Beat()
	OK()
	Fault(error)
	Count(map[string]uint64)
}

// Settings are what a Manager is built from.
type Settings struct {
	Files      durable.Files
	KernelBoot string
	// Root is the start of the furnace's topics: a signed document is for one
	// furnace.
	Root string
	// ReadLocal reads the box's own file.
	ReadLocal func() ([]byte, error)
	// Report publishes config/reported; it must not block.
	Report func(message.ConfigReport)
	Log    *slog.Logger
}

// Manager is the only one that changes a configuration.
type Manager struct {
	settings Settings
	journal  *commit.Journal[storedVersion]
	observer Observer

	own     storedVersion // the local file alone
	version storedVersion // what runs
	config  config.Config
	started time.Time // when its minute began
	last    message.ConfigReport
	resumed *config.Config // what the unproven version at start is compared with
	// unproven is when a patch of 0.3.0, whose signature was not stored, is dropped.
	unproven time.Time
	// rejections are logged when they begin, and once a minute.
	rejections retry.Faults

	mailbox *mailbox.Mailbox
	reload  chan struct{}
}

const (
	// minute is how long a process must live under a version.
	minute = time.Minute
	// lookEvery is how often changed parts are asked for progress.
	lookEvery = 100 * time.Millisecond
	beat      = time.Second
)

// Open says what to run at start. local is the box's own file, which must be
// valid: without it not even the place of the journal is known.
func Open(s Settings, local []byte) (*Manager, config.Config, error) {
	m := &Manager{settings: s, mailbox: mailbox.New(), reload: make(chan struct{}, 1), started: time.Now()}
	m.rejections.Log = s.Log
	var err error
	if m.journal, err = commit.Open[storedVersion](s.Files, journalFile, s.KernelBoot); err != nil {
		s.Log.Error("remote configuration not taken up", "err", err)
	}
	m.own = storedVersion{Version: Version{Local: local}}
	m.version = m.own
	if m.config, err = m.version.tolerated(); err != nil {
		return nil, config.Config{}, err
	}
	m.resume(local)
	return m, m.config, nil
}

const journalFile = "config.json"

// Desired takes a payload of config/desired; of several that wait the newest
// counts. It never blocks.
func (m *Manager) Desired(payload []byte) { m.mailbox.Put(payload) }

// Reload has the local file read again.
func (m *Manager) Reload() {
	select {
	case m.reload <- struct{}{}:
	default:
	}
}

// Run serves until ctx ends.
func (m *Manager) Run(ctx context.Context, box Agent, observer Observer) error {
	m.observer = observer
	observer.OK()
	m.settings.Report(m.last)
	if m.resumed != nil {
		before := *m.resumed
		m.resumed = nil
		m.proveStart(ctx, box, before)
	}
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for {
		m.beat()
		select {
		case <-ctx.Done():
			return m.end()
		case <-m.mailbox.News():
			m.process(ctx, box, m.mailbox.Take())
		case <-m.reload:
			m.readLocal(ctx, box)
		case <-tick.C:
			m.settle()
			m.discardUnproven(ctx, box)
		}
	}
}

// beat tells the observer that the manager is alive, and how many payloads were
// dropped.
func (m *Manager) beat() {
	m.observer.Beat()
	m.observer.Count(map[string]uint64{"dropped_documents": m.mailbox.Dropped()})
}

// end notes that the end is no death.
func (m *Manager) end() error {
	if err := m.journal.Ended(); err != nil {
		return fmt.Errorf("note the end: %w", err)
	}
	return nil
}

// settle makes what has run for a minute the good version.
func (m *Manager) settle() {
	t, ok := m.journal.Trial()
	if !ok || time.Since(m.started) < minute || !t.Running && !t.Shown {
		return
	}
	if err := m.journal.Lived(); err != nil {
		m.observer.Fault(err)
		m.started = time.Now().Add(retry.MaxWait - minute) // ask the disk again, later
		return
	}
	m.observer.OK()
}
