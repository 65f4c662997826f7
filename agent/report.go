package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
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
	"meltwatch/retry"
)

// reporter publishes decisions as states and events, and saves the state from which a
// restarted agent resumes an alarm.
type reporter struct {
	agent   *Agent
	machine *state.Machine
	video   inference.VideoSpec
	stamper *stamp.Stamper
	record  *health.Part
	storage *health.Part // of the state folder
	log     *slog.Logger
	files   durable.Files // the state folder
	// newest is the last state, for Once.
	newest                  atomic.Pointer[message.State]
	configSteps, modelSteps steps

	// owned by the decide loop
	before  message.State
	savedAt time.Time
}

// stateFile holds the furnace's state for the next start.
const stateFile = "state.json"

const (
	// saveEvery is the interval at which a lasting alarm is saved: much shorter than
	// the ten minutes within which it is resumed.
	saveEvery = time.Minute
	// healthEvery is the interval at which unchanged health is published.
	healthEvery = 10 * time.Second
)

func newReporter(a *Agent, m *state.Machine, video inference.VideoSpec) *reporter {
	return &reporter{
		agent: a, machine: m, video: video, stamper: a.stamper,
		record:  a.registry.Add("decide", decideLimit),
		storage: a.registry.Add("storage", decideLimit),
		log:     a.log("decide"),
		files:   a.env.Files(a.config.Load().Paths.State),
	}
}

// decision publishes one decision.
func (r *reporter) decision(s decide.Decision) {
	r.record.Beat()
	r.record.Count(map[string]uint64{"dropped_samples": r.agent.loop.Dropped()})
	if s.Fault == nil {
		r.record.OK()
	} else {
		r.record.Fault(s.Fault)
	}
	now := r.payload(s)
	r.events(now, s)
	changed := now.State != r.before.State || now.Held != r.before.Held
	r.agent.out.State(now, changed)
	r.save(s, changed)
	r.before = now
	r.newest.Store(&now)
}

func (r *reporter) payload(s decide.Decision) message.State {
	p := message.State{
		Stamp: r.stamper.Stamp("state", s.End),
		State: string(s.Status.State), Since: r.stamper.Wall(s.Status.Since), Held: s.Status.Held,
		PMean: s.Status.P, Source: string(s.Verdict.Source), Weak: s.Weak,
		Senses:   message.Senses{Current: string(s.Current), Video: string(s.Video)},
		Coverage: message.Coverage{Current: s.CurrentCoverage, Video: s.VideoCoverage},
		Counted:  message.Counted(s.Counted),
		Evidence: evidence(s.Evidence, r.video),
	}
	if s.Verdict.Source != state.None {
		p.PAbnormal = s.Verdict.P
	}
	if !math.IsNaN(s.Alignment) {
		p.Alignment = &s.Alignment
	}
	if !math.IsNaN(s.Surprise) {
		p.Surprise = &s.Surprise
	}
	if s.Offset != nil {
		p.ClockOffsetS, p.ClockSpreadS = &s.Offset.Seconds, &s.Offset.Spread
	}
	p.ClockCorrectionS = s.Correction.Seconds()
	if model, ok := r.agent.live.Load().client.Model(); ok {
		p.Model = message.ModelName{Name: model.Manifest.Name, Version: model.Manifest.Version, SHA256: model.SHA256}
	}
	p.LatencyMS = float64(time.Since(s.End).Microseconds()) / 1000
	return p
}

// events publishes the changes since the previous second.
func (r *reporter) events(now message.State, s decide.Decision) {
	before := r.before
	if before.Seq == 0 {
		r.event("start", "agent", "", r.agent.env.Version, fmt.Sprintf("boot %d", r.stamper.Boot()))
		before.Senses = message.Senses{}
	}
	if now.State != before.State {
		r.event("state", "furnace", before.State, now.State, s.Status.Cause)
		r.log.Info("furnace state changed", "from", before.State, "to", now.State, "cause", s.Status.Cause)
	}
	if now.Senses.Current != before.Senses.Current {
		r.event("sense", "current", before.Senses.Current, now.Senses.Current, s.CurrentCause)
	}
	if now.Senses.Video != before.Senses.Video {
		r.event("sense", "video", before.Senses.Video, now.Senses.Video, r.agent.video.Cause())
	}
	if now.Source != before.Source {
		cause := ""
		if s.Fault != nil {
			cause = s.Fault.Error()
		}
		r.event("source", "verdict", before.Source, now.Source, cause)
	}
}

func (r *reporter) event(kind, subject, from, to, cause string) {
	r.agent.out.Event(message.Event{
		Stamp: r.stamper.Stamp("event", time.Now()),
		Kind:  kind, Subject: subject, From: from, To: to, Cause: cause,
	})
}

// outboxIncident publishes an incident of the outbox as an event.
func (r *reporter) outboxIncident(i outbox.Incident) {
	r.event("outbox", i.Class, "", i.What, i.Cause)
	r.log.Warn("outbox incident", "subject", i.Class, "what", i.What, "cause", i.Cause)
}

// save saves the state for the next start of the agent: when it changes, and at
// intervals during an alarm. A normal furnace causes no writes.
func (r *reporter) save(s decide.Decision, changed bool) {
	lasting := s.Status.State == state.Abnormal && time.Since(r.savedAt) > saveEvery
	if !changed && !lasting {
		return
	}
	r.savedAt = time.Now()
	text, err := json.Marshal(r.machine.Save(time.Now()))
	if err == nil {
		err = durable.Replace(r.files, stateFile, text)
	}
	if err != nil {
		r.record.Fault(fmt.Errorf("save state: %w", err))
	}
}

// resume restores an alarm of the agent's last run.
func (r *reporter) resume() {
	text, err := durable.ReadFile(r.files, stateFile)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var saved state.Saved
	if err == nil {
		err = json.Unmarshal(text, &saved)
	}
	if err != nil {
		// A damaged file must not prevent the agent's start.
		r.log.Warn("last state not resumed", "err", err)
		return
	}
	r.machine.Resume(saved, time.Now())
}

// healthLoop publishes health when a part's status changes, and every ten
// seconds.
func (r *reporter) healthLoop(ctx context.Context) {
	var h healthReport
	for retry.Sleep(ctx, time.Second) {
		r.publishHealth(&h)
	}
}

// healthReport is the last published health.
type healthReport struct {
	at       time.Time
	statuses map[string]string // by part
}

// publishHealth publishes health if it is due.
func (r *reporter) publishHealth(last *healthReport) {
	r.checkStorage()
	now, parts := map[string]string{}, map[string]any{}
	for name, s := range r.agent.registry.Snapshot() {
		now[name], parts[name] = s.Status, s
	}
	if maps.Equal(last.statuses, now) && time.Since(last.at) < healthEvery {
		return
	}
	*last = healthReport{time.Now(), now}
	r.agent.out.Health(message.Health{Stamp: r.stamper.Stamp("health", last.at), Agent: r.agent.env.Version, Parts: parts})
}

// checkStorage retries to count this start of the agent until it succeeds.
func (r *reporter) checkStorage() {
	r.storage.Beat()
	if err := r.stamper.Save(); err != nil {
		r.storage.Fault(fmt.Errorf("paths.state: %w", err))
		return
	}
	r.storage.OK()
}

// evidence returns the centre and the standard deviation of the attention as shares of
// the crop, or nil without attention.
func evidence(weights []float32, video inference.VideoSpec) *message.Evidence {
	rows, columns := video.EvidenceRows, video.EvidenceColumns
	if rows*columns == 0 || len(weights) != rows*columns {
		return nil
	}
	var sum, x, y, xx, yy float64
	for i, w := range weights {
		cx := (float64(i%columns) + 0.5) / float64(columns)
		cy := (float64(i/columns) + 0.5) / float64(rows)
		weight := float64(w)
		sum, x, y = sum+weight, x+weight*cx, y+weight*cy
		xx, yy = xx+weight*cx*cx, yy+weight*cy*cy
	}
	if !(sum > 0) {
		return nil
	}
	x, y = x/sum, y/sum
	variance := max(xx/sum-x*x, 0) + max(yy/sum-y*y, 0)
	return &message.Evidence{X: x, Y: y, Spread: math.Sqrt(variance)}
}
