// Package rollout puts another model in the place of the one that decides, and
// back when it does not do.
//
//	model/desired ▸ signature, size ▸ receive by chunks or URL ▸ sha256 ▸ unpack
//	▸ manifest fits ▸ loads in a second child ▸ golden vectors, latency, memory
//	▸ shadows the live model ▸ switch ▸ watched ▸ kept, or back to the old one
//
// Up to the switch the live model does not notice; at the switch the two change
// places between two seconds, so no second lacks a verdict; until it is kept the
// old model runs on as the shadow, so that the way back is as short.
//
// On disk, below one folder: incoming.part, the package as far as it has
// arrived; <sha256>/, unpacked and verified models, the last two; model.json, a
// commit.Journal of which one decides. A kill at any step leaves one of them
// deciding, and the journal tells which.
//
// One goroutine, Run's, owns it all; payloads reach it through Desired and
// Chunk, which never block. What the checks ask of a running agent stands behind
// Box.
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
)

// ModelID is a model that can decide.
type ModelID struct {
	// Revision is that of the document that brought it; 0 before any.
	Revision int64 `json:"revision"`
	// SHA256 is the package's, empty for the box's own model, at model.path.
	SHA256 string `json:"sha256"`
	// Before is the package of the model that decided before it; both stay on disk.
	Before string `json:"before,omitempty"`
}

func (m ModelID) same(other ModelID) bool {
	return m.Revision == other.Revision && m.SHA256 == other.SHA256
}

// Instance is a model in a child of its own.
type Instance interface {
	// Alive returns what has befallen the child since it loaded the model.
	Alive() error
	// Memory is the child's resident memory in bytes.
	Memory() (int64, error)
	// Golden runs the golden vectors and says how long each call took.
	Golden(ctx context.Context) ([]time.Duration, error)
}

// Comparison is one second, decided by the live model and by its shadow. A fault
// is nil where the model answered.
type Comparison struct {
	LiveP, ShadowP         float64
	LiveFault, ShadowFault error
	LiveTook, ShadowTook   time.Duration
}

// Agent is the running agent.
type Agent interface {
	// Fits says why a model cannot take the live one's place, or nil.
	Fits(m inference.Manifest) error
	// Load starts a second child with the model in folder.
	Load(ctx context.Context, folder string) (Instance, error)
	// Live is the model that decides.
	Live() Instance
	// Shadow has a loaded model decide beside the live one, each second compared.
	Shadow(ctx context.Context, b Instance, compare func(Comparison)) error
	// Switch has the live model and its shadow change places.
	Switch(ctx context.Context) error
	// Drop ends the shadow, or a model that was only loaded, and its child.
	Drop()
}

// Observer is told how the manager fares.
type Observer interface {
	Beat()
	OK()
	Fault(error)
	Count(map[string]uint64)
}

// Limits are what the configuration says.
type Limits struct {
	// Enabled is whether model/desired is obeyed.
	Enabled bool
	// Keys are trust.model_keys.
	Keys map[string]string
	// Package bounds a package and Memory a child, in bytes; Latency the calls of a
	// second, at the 95th percentile.
	Package, Memory int64
	Latency         time.Duration
}

// Settings are what a Manager is built from.
type Settings struct {
	// Folder is where packages and models lie; Own is the box's own model.
	Folder, Own string
	Files       durable.Files // of Folder
	KernelBoot  string
	// Report publishes model/reported; it must not block.
	Report func(message.ModelReport)
	HTTP   *http.Client
	Log    *slog.Logger
}

// Manager is the only one that changes which model decides.
type Manager struct {
	settings Settings
	journal  *commit.Journal[ModelID]
	observer Observer
	agent    Agent

	live     ModelID
	proving  bool // live has not proved itself since the start
	last     message.ModelReport
	logged   string    // the last step that was logged
	download *download // nil while nothing is being received
	// rejections are logged when they begin, and once a minute.
	rejections retry.Faults

	mailbox *mailbox.Mailbox
	judged  uint64 // payloads put into it that supersede nothing
	chunks  chan chunk
	// dropped counts chunks that found no room.
	dropped atomic.Uint64

	mu     sync.Mutex
	limits Limits
}

type chunk struct {
	number  int64
	payload []byte
}

const journalFile = "model.json"

// Open says which model decides at start, by its folder. A model whose files are
// damaged gives way to the box's own.
func Open(s Settings) (m *Manager, folder string) {
	m = &Manager{settings: s, mailbox: mailbox.New(), chunks: make(chan chunk, modelpackage.Ahead)}
	m.rejections.Log = s.Log
	var err error
	if m.journal, err = commit.Open[ModelID](s.Files, journalFile, s.KernelBoot); err != nil {
		s.Log.Error("which model was rolled out is not known, the box's own decides", "err", err)
	}
	died, err := m.journal.Started()
	if err != nil {
		s.Log.Warn("start not noted", "err", err)
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

// giveUp falls back to what decided before, or to the box's own model.
func (m *Manager) giveUp(why error) {
	damaged := m.live
	faults := []message.Fault{{Key: "model", Message: why.Error()}}
	m.live, m.proving = ModelID{}, false
	if good, ok := m.journal.Good(); ok && !good.same(damaged) && m.intact(good) == nil {
		m.live = good
	}
	if err := m.journal.Refuse(true, faults...); err != nil {
		m.settings.Log.Warn("refusal not noted", "err", err)
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
		return nil // the child will say so, as ever
	}
	manifest, _, err := inference.ReadManifest(m.folder(model))
	if err == nil {
		err = manifest.VerifyFiles(m.folder(model))
	}
	if err == nil {
		err = inference.CheckGraph(m.folder(model))
	}
	if err != nil {
		return fmt.Errorf("model %.12s… on disk: %w", model.SHA256, err)
	}
	return nil
}

// sweep removes what is neither live, nor the one before it, nor on its way.
func (m *Manager) sweep() {
	entries, err := os.ReadDir(m.settings.Folder)
	if err != nil {
		return // nothing there yet
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

// Desired takes a payload of model/desired; of several that wait the newest
// counts. It never blocks.
func (m *Manager) Desired(payload []byte) { m.mailbox.Put(payload) }

// Chunk takes a payload of model/chunk/<n>. One that finds no room is dropped:
// the sender learns from model/reported what is still wanted.
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
	tick := time.NewTicker(beat)
	defer tick.Stop()
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
		case <-tick.C:
		}
	}
}

// beat tells the observer that the manager is alive, and how many payloads were
// dropped.
func (m *Manager) beat() {
	m.observer.Beat()
	m.observer.Count(map[string]uint64{"dropped_documents": m.mailbox.Dropped(), "dropped_chunks": m.dropped.Load()})
}
