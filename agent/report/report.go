// Package report publishes decisions as states and events, the health of the parts, and
// the status of documents. It saves the state from which a restarted agent resumes an
// alarm.
package report

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"sync/atomic"
	"time"

	"meltwatch/agent/decide"
	"meltwatch/agent/health"
	"meltwatch/agent/message"
	"meltwatch/agent/outbox"
	"meltwatch/agent/stamp"
	"meltwatch/agent/state"
	"meltwatch/durable"
	"meltwatch/inference"
)

// Output accepts payloads, as delivery.Switch does. Its methods do not block.
type Output interface {
	State(state message.State, changed bool)
	Event(message.Event)
	Health(message.Health)
	Retain(topic string, payload []byte)
}

// Settings are what a Reporter needs.
type Settings struct {
	Output   Output
	Registry *health.Registry
	// Limit is the longest time without a decision or without an answer of the state
	// folder's disk; after it the part counts as stuck.
	Limit   time.Duration
	Stamper *stamp.Stamper
	Machine *state.Machine
	Files   durable.Files // the state folder
	Version string        // of the agent
	Video   inference.VideoSpec
	Log     *slog.Logger
	// Model returns the name of the live model, Cause the last fault of the video, and
	// Dropped the number of samples that the decision loop could not accept.
	Model   func() message.ModelName
	Cause   func() string
	Dropped func() uint64
	// Background is what the decision compares frames with, nil if it has none; only the decision
	// loop calls it. ResumeBackground passes on what the last run's was, before the loop runs.
	Background       func() *decide.Background
	ResumeBackground func(decide.Background) error
	// CurrentBaseline and ResumeCurrentBaseline are the same for the current.
	CurrentBaseline       func() *decide.CurrentBaseline
	ResumeCurrentBaseline func(decide.CurrentBaseline) error
}

// saved is what the state file holds.
type saved struct {
	state.Saved
	// Background is there with an alarm or a suspicion, which a picture that began with the hot
	// spot in it would not show again.
	Background *decide.Background `json:"background,omitempty"`
	// CurrentBaseline is there with them too, also without a camera: a quiet current would
	// otherwise be learnt as usual.
	CurrentBaseline *decide.CurrentBaseline `json:"current_baseline,omitempty"`
}

// Reporter publishes the agent's payloads. Only the decision loop may call Decided; the
// other methods are safe for concurrent use.
type Reporter struct {
	Settings
	decisions *health.Part
	storage   *health.Part // of the state folder
	newest    atomic.Pointer[message.State]
	unsaved   atomic.Pointer[saved] // nil once it is written
	saves     chan struct{}

	configSteps, modelSteps steps

	// owned by the decision loop
	before  message.State
	savedAt time.Time
}

// stateFile holds the furnace's state for the next start.
const stateFile = "state.json"

// saveEvery is the interval at which a lasting alarm or suspicion is saved: much shorter than the ten
// minutes within which it is resumed.
const saveEvery = time.Minute

// New returns a reporter, and adds its parts to the registry.
func New(s Settings) *Reporter {
	return &Reporter{
		Settings:  s,
		decisions: s.Registry.Add("decide", s.Limit),
		storage:   s.Registry.Add("storage", s.Limit),
		saves:     make(chan struct{}, 1),
	}
}

// Newest is the last published state, nil before the first.
func (r *Reporter) Newest() *message.State { return r.newest.Load() }

// Decided publishes one decision.
func (r *Reporter) Decided(s decide.Decision) {
	r.decisions.Beat()
	r.decisions.Count(map[string]uint64{"dropped_samples": r.Dropped()})
	if s.Fault == nil {
		r.decisions.OK()
	} else {
		r.decisions.Fault(s.Fault)
	}
	now := r.payload(s)
	r.events(now, s)
	r.familiarity(now, s)
	changed := now.State != r.before.State || now.Held != r.before.Held || now.Level != r.before.Level || now.LevelHeld != r.before.LevelHeld
	r.Output.State(now, changed)
	r.save(s, changed)
	r.before = now
	r.newest.Store(&now)
}

func (r *Reporter) payload(s decide.Decision) message.State {
	p := message.State{
		Stamp: r.Stamper.Stamp("state", s.End),
		State: string(s.Status.State), Since: r.Stamper.Wall(s.Status.Since), Held: s.Status.Held,
		Level: string(s.Status.Level), LevelHeld: s.Status.Held || s.Status.Suspicion.Held,
		PMean: s.Status.P, Source: string(s.Verdict.Source), Weak: s.Weak,
		Senses:   message.Senses{Current: string(s.Current), Video: string(s.Video)},
		Coverage: message.Coverage{Current: s.CurrentCoverage, Video: s.VideoCoverage},
		Counted:  message.Counted(s.Counted),
		Evidence: evidence(s.Evidence, r.Video),
	}
	if s.Verdict.Source != state.None {
		p.PAbnormal = s.Verdict.P
	}
	switch s.Status.Level {
	case state.LevelAlarm:
		p.LevelSince = p.Since
	case state.LevelSuspected:
		p.LevelSince = r.Stamper.Wall(s.Status.Suspicion.Since)
	}
	if s.Status.Suspicion.Filtered {
		p.PSuspect = &s.Status.Suspicion.P
	}
	if !math.IsNaN(s.Alignment) {
		p.Alignment = &s.Alignment
	}
	if !math.IsNaN(s.Surprise) {
		p.Surprise = &s.Surprise
	}
	if current, video := known(s.PCurrent), known(s.PVideo); current != nil || video != nil {
		p.Alone = &message.Alone{Current: current, Video: video}
	}
	addFamiliarity(&p, s.FamiliarityCurrent, s.FamiliarityVideo)
	if s.Offset != nil {
		p.ClockOffsetS, p.ClockSpreadS = &s.Offset.Seconds, &s.Offset.Spread
	}
	p.ClockConfidence, p.ClockCorrectionS = s.OffsetConfidence, s.Correction.Seconds()
	p.Model = r.Model()
	p.LatencyMS = float64(time.Since(s.End).Microseconds()) / 1000
	return p
}

// known is a value that the model gave, or nil.
func known(v float64) *float64 {
	if math.IsNaN(v) {
		return nil
	}
	return &v
}

// events publishes the changes since the previous second.
func (r *Reporter) events(now message.State, s decide.Decision) {
	before := r.before
	if before.Seq == 0 {
		r.Event("start", "agent", "", r.Version, fmt.Sprintf("boot %d", r.Stamper.Boot()))
		before.Senses = message.Senses{}
	}
	if now.State != before.State {
		r.Event("state", "furnace", before.State, now.State, s.Status.Cause)
		r.Log.Info("furnace state changed", "from", before.State, "to", now.State, "cause", s.Status.Cause)
	}
	if now.Senses.Current != before.Senses.Current {
		r.Event("sense", "current", before.Senses.Current, now.Senses.Current, s.CurrentCause)
	}
	if now.Senses.Video != before.Senses.Video {
		r.Event("sense", "video", before.Senses.Video, now.Senses.Video, r.Cause())
	}
	if now.Source != before.Source {
		cause := ""
		if s.Fault != nil {
			cause = s.Fault.Error()
		}
		r.Event("source", "verdict", before.Source, now.Source, cause)
	}
}

// Event publishes an event.
func (r *Reporter) Event(kind, subject, from, to, cause string) {
	r.Output.Event(message.Event{
		Stamp: r.Stamper.Stamp("event", time.Now()),
		Kind:  kind, Subject: subject, From: from, To: to, Cause: cause,
	})
}

// OutboxIncident publishes an incident of the outbox as an event.
func (r *Reporter) OutboxIncident(i outbox.Incident) {
	r.Event("outbox", i.Class, "", i.What, i.Cause)
	log := r.Log.Warn
	if i.What == outbox.Recovered {
		log = r.Log.Info
	}
	log("outbox incident", "subject", i.Class, "what", i.What, "cause", i.Cause)
}

// save marks the state for the next start of the agent: when it changes, and each minute
// during an alarm or a suspicion. A normal furnace causes no writes. It does not wait for the disk:
// SaveLoop writes.
func (r *Reporter) save(s decide.Decision, changed bool) {
	lasting := (s.Status.State == state.Abnormal || s.Status.Suspicion.On) && time.Since(r.savedAt) > saveEvery
	if !changed && !lasting {
		return
	}
	r.savedAt = time.Now()
	next := saved{Saved: r.Machine.Save(time.Now())}
	if s.Status.State == state.Abnormal || s.Status.Suspicion.On {
		next.Background, next.CurrentBaseline = r.Background(), r.CurrentBaseline()
	}
	r.unsaved.Store(&next)
	select {
	case r.saves <- struct{}{}:
	default: // the newest state is written next
	}
}

// SaveLoop writes the newest marked state until ctx ends. Only it waits for the disk of
// the state folder.
func (r *Reporter) SaveLoop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			r.SaveNow()
			return
		case <-r.saves:
			r.SaveNow()
		}
	}
}

// SaveNow writes the newest marked state unless it is already written.
func (r *Reporter) SaveNow() {
	next := r.unsaved.Swap(nil)
	if next == nil {
		return
	}
	text, err := json.Marshal(next)
	if err == nil {
		err = durable.Replace(r.Files, stateFile, text)
	}
	if err != nil {
		r.decisions.Fault(fmt.Errorf("save state: %w", err))
	}
}

// Resume restores an alarm or a suspicion of the agent's last run.
func (r *Reporter) Resume() {
	text, err := durable.ReadFile(r.Files, stateFile)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var last saved
	if err == nil {
		err = json.Unmarshal(text, &last)
	}
	if err != nil {
		// A damaged file must not prevent the agent's start.
		r.Log.Warn("last state not resumed", "err", err)
		return
	}
	if !r.Machine.Resume(last.Saved, time.Now()) {
		return
	}
	if last.Background != nil {
		if err := r.ResumeBackground(*last.Background); err != nil {
			r.Log.Warn("alarm resumed without the background of its pictures", "err", err)
		}
	}
	if last.CurrentBaseline != nil {
		if err := r.ResumeCurrentBaseline(*last.CurrentBaseline); err != nil {
			r.Log.Warn("alarm resumed without the baseline of its current", "err", err)
		}
	}
}
