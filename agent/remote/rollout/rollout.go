// Package rollout replaces the live model by another one, and rolls back if that fails.
//
//	model/desired ▸ signature, size ▸ receive by chunks or URL ▸ sha256 ▸ unpack
//	▸ manifest fits ▸ loads in a second child ▸ golden vectors, latency, memory
//	▸ shadows the live model ▸ switch ▸ watched ▸ kept, or back to the old one
//
// Before the switch the live model is not affected. The switch happens between two
// seconds, so no second lacks a verdict. Until the new model is kept, the old one runs
// on as the shadow, so that a roll-back is as fast as the switch.
//
// On disk, below one folder: incoming.part, the partly received package; <sha256>/, the
// last two unpacked and verified models; model.json, the commit.Journal of the live
// model. After a kill at any step, the journal tells which model decides.
//
// The goroutine of Run owns all state. Payloads reach it through Desired and Chunk,
// which never block. The checks use the running agent through the interface Agent.
package rollout

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"meltwatch/agent/message"
	"meltwatch/agent/remote/commit"
	"meltwatch/agent/remote/mailbox"
	"meltwatch/agent/remote/modelpackage"
	"meltwatch/durable"
	"meltwatch/inference"
	"meltwatch/retry"
	"meltwatch/tick"
)

// ModelID identifies a model.
type ModelID struct {
	// Revision is that of the document that requested it; 0 before the first.
	Revision int64 `json:"revision"`
	// SHA256 is that of the package; empty for the local model at model.path.
	SHA256 string `json:"sha256"`
	// Before is the package of the previous live model; both stay on disk.
	Before string `json:"before,omitempty"`
}

func (m ModelID) same(other ModelID) bool {
	return m.Revision == other.Revision && m.SHA256 == other.SHA256
}

// Instance is a model in its own child process.
type Instance interface {
	// Alive returns the last fault of the child since it loaded the model.
	Alive() error
	// Memory is the child's resident memory in bytes.
	Memory() (int64, error)
	// Golden runs the golden vectors and returns the duration of each call.
	Golden(ctx context.Context) ([]time.Duration, error)
}

// Comparison holds the verdicts of the live model and of its shadow for one second. A
// fault is nil if the model answered.
type Comparison struct {
	LiveP, ShadowP         float64
	LiveFault, ShadowFault error
	LiveTook, ShadowTook   time.Duration
}

// Agent is the running agent.
type Agent interface {
	// Fits returns why a model cannot replace the live one, or nil.
	Fits(m inference.Manifest) error
	// Load starts a second child with the model in folder.
	Load(ctx context.Context, folder string) (Instance, error)
	// Live returns the model that decides.
	Live() Instance
	// Shadow makes a loaded model decide beside the live one, and compares each second.
	Shadow(ctx context.Context, b Instance, compare func(Comparison)) error
	// Switch exchanges the live model and its shadow.
	Switch(ctx context.Context) error
	// Drop stops the shadow, or a model that was only loaded, and its child.
	Drop()
}

// Observer receives the status of the manager.
type Observer interface {
	Beat()
	OK()
	Fault(error)
	Count(map[string]uint64)
}

// Limits are the limits from the configuration.
type Limits struct {
	// Enabled reports whether documents on model/desired are applied.
	Enabled bool
	// Keys are trust.model_keys.
	Keys map[string]string
	// Package bounds a package and Memory a child, in bytes; Latency the calls of a
	// second, at the 95th percentile.
	Package, Memory int64
	Latency         time.Duration
}

// Settings configure a Manager.
type Settings struct {
	// Folder holds packages and models; Own is the folder of the local model.
	Folder, Own string
	Files       durable.Files // of Folder
	KernelBoot  string
	// Report publishes model/reported; it must not block.
	Report func(message.ModelReport)
	HTTP   *http.Client
	Log    *slog.Logger
}

// Manager changes which model decides; nothing else does.
type Manager struct {
	settings Settings
	journal  *commit.Journal[ModelID]
	observer Observer
	agent    Agent

	live     ModelID
	proving  bool // live is on trial since the start
	last     message.ModelReport
	logged   string    // the last step that was logged
	download *download // nil if no package is being received
	// rejections are logged when they begin, and once a minute.
	rejections retry.Faults

	mailbox *mailbox.Mailbox
	ignored uint64 // number of its payloads that supersede no model
	chunks  chan chunk
	// dropped counts chunks dropped by the full queue.
	dropped atomic.Uint64

	mu     sync.Mutex
	limits Limits
}

type chunk struct {
	number  int64
	payload []byte
}

const journalFile = "model.json"

// Open returns the manager and the folder of the model that decides at start. A model
// with damaged files is replaced by the local one.
func Open(s Settings) (m *Manager, folder string) {
	m = &Manager{settings: s, mailbox: mailbox.New(), chunks: make(chan chunk, modelpackage.Ahead)}
	m.rejections.Log = s.Log
	var err error
	if m.journal, err = commit.Open[ModelID](s.Files, journalFile, s.KernelBoot); err != nil {
		s.Log.Error("journal of models not read, the local model decides", "err", err)
	}
	died, err := m.journal.Started()
	if err != nil {
		s.Log.Warn("start not recorded", "err", err)
	}
	m.live, _ = m.journal.Good()
	if t, ok := m.journal.Trial(); ok {
		m.live, m.proving = t.Version, true
	}
	m.setReport(message.Live, nil)
	if died {
		refused, _ := m.journal.Refused()
		m.setReportOf(refused.Version, message.RolledBack, refused.Faults)
	}
	if err := m.intact(m.live); err != nil {
		m.giveUp(err)
	}
	m.sweep()
	return m, m.folder(m.live)
}

// giveUp returns to the previous model, or to the local one.
func (m *Manager) giveUp(why error) {
	damaged := m.live
	faults := []message.Fault{{Key: "model", Message: why.Error()}}
	m.live, m.proving = ModelID{}, false
	if good, ok := m.journal.Good(); ok && !good.same(damaged) && m.intact(good) == nil {
		m.live = good
	}
	if err := m.journal.Refuse(true, faults...); err != nil {
		m.settings.Log.Warn("refusal not recorded", "err", err)
	}
	m.settings.Log.Error("model given up", "sha256", damaged.SHA256, "err", why)
	m.setReportOf(damaged, message.RolledBack, faults)
}

func (m *Manager) folder(model ModelID) string {
	if model.SHA256 == "" {
		return m.settings.Own
	}
	return filepath.Join(m.settings.Folder, model.SHA256)
}

// intact checks a rolled-out model's files against its manifest, and its graph
// against the allowed operations: an earlier release may have accepted it.
func (m *Manager) intact(model ModelID) error {
	if model.SHA256 == "" {
		return nil // the child reports its faults
	}
	if _, err := inference.CheckFolder(m.folder(model)); err != nil {
		return fmt.Errorf("model %.12s… on disk: %w", model.SHA256, err)
	}
	return nil
}

// sweep removes all models except the live one, the previous one and the one being
// received.
func (m *Manager) sweep() {
	entries, err := os.ReadDir(m.settings.Folder)
	if err != nil {
		return // the folder does not exist yet
	}
	good, _ := m.journal.Good()
	keep := map[string]bool{
		journalFile: true, incoming: true, incoming + ".sha256": true,
		m.live.SHA256: true, m.live.Before: true, good.SHA256: true,
	}
	for _, entry := range entries {
		if keep[entry.Name()] {
			continue
		}
		if err := os.RemoveAll(filepath.Join(m.settings.Folder, entry.Name())); err != nil {
			m.settings.Log.Warn("old model not removed", "err", err)
		}
	}
}

// Adopt changes the limits.
func (m *Manager) Adopt(l Limits) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.limits = l
}

func (m *Manager) limit() Limits {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.limits
}

// Desired queues a payload of model/desired. Of several waiting payloads the newest
// valid one is applied. It never blocks.
func (m *Manager) Desired(payload []byte) { m.mailbox.Put(payload) }

// Chunk queues a payload of model/chunk/<n>. It never blocks: if the queue is full, the
// chunk is dropped, and model/reported asks the sender for it again.
func (m *Manager) Chunk(number int64, payload []byte) {
	select {
	case m.chunks <- chunk{number, payload}:
	default:
		m.dropped.Add(1)
	}
}

const beat = time.Second

// Run serves until ctx ends.
func (m *Manager) Run(ctx context.Context, agent Agent, observer Observer) error {
	m.agent, m.observer = agent, observer
	observer.OK()
	m.settings.Report(m.last)
	if m.proving {
		m.proving = false
		m.proveStart(ctx)
	}
	round := tick.New(beat)
	defer round.Stop()
	for {
		m.beat()
		select {
		case <-ctx.Done():
			m.closeDownload()
			return m.journal.Ended()
		case <-m.mailbox.News():
			m.process(ctx, m.mailbox.Take())
		case c := <-m.chunks:
			m.receive(ctx, c)
		case <-round.C:
			round.Next()
		}
	}
}

// beat reports to the observer that the manager is alive, and how many payloads were
// dropped.
func (m *Manager) beat() {
	m.observer.Beat()
	m.observer.Count(map[string]uint64{"dropped_documents": m.mailbox.Dropped(), "dropped_chunks": m.dropped.Load()})
}
