package simtest

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path"
	"slices"
	"strings"
	"time"

	"meltwatch/agent"
	"meltwatch/agent/decide"
	"meltwatch/agent/delivery"
	"meltwatch/agent/health"
	"meltwatch/agent/message"
	"meltwatch/agent/state"
	"meltwatch/config"
	"meltwatch/drivers"
	"meltwatch/durable"
	"meltwatch/inference"
	"meltwatch/retry"
)

const root = "meltwatch/plant-1/f07/"

// process is one run of the agent, from its start to its end.
type process struct {
	*world
	config  config.Config
	agent   *agent.Stepper
	promise *promises // wraps the outbox; nil until it is open
	boot    uint64    // the agent's boot; 0 before its first record

	wire       *wire
	connection *delivery.Connection
	redialling *delivery.Redial
	hung       time.Time // until when the spooler waits for the disk
	trouble    time.Time // time of the disk's last fault
	started    time.Time
	dialled    time.Time
	before     state.Status
	stepping   bool // a step is planned
	dead       bool
}

// start starts the agent on this box.
func (w *world) start() {
	if w.dark || w.process != nil {
		return // no power, or already running
	}
	w.starts++
	text, c := w.document()
	if w.broken != nil {
		return
	}
	b := &process{world: w, config: c, started: time.Now()}
	w.process = b
	a, err := agent.New(agent.Source{Document: text}, b.env())
	if err != nil {
		w.violated("the agent does not start: %v\n%s", err, text)
		return
	}
	if resumed := b.savedState(); resumed.State == state.Abnormal && time.Since(resumed.Seen) < 10*time.Minute {
		b.before.State = state.Abnormal
	}
	b.agent = a.Step()
	b.redialling = delivery.NewRedial(c.MQTT.Addresses())
	b.redialling.Wait = b.wait
	b.every(b.period(), b.poll)
	b.every(time.Second, b.decide)
	b.every(time.Second, b.publishHealth)
	b.after(500*time.Millisecond, b.round)
	b.after(b.between(0, time.Second), b.dial)
}

// env returns the agent's environment: all of it is simulated, but none of the agent's
// logic.
func (p *process) env() agent.Env {
	return agent.Env{
		Log: slog.New(slog.DiscardHandler), Level: &slog.LevelVar{}, Version: "simulated",
		Instance: fmt.Sprint(p.starts), KernelBoot: fmt.Sprintf("kernel %d", p.clock.boot),
		Clock: p.clock,
		Files: func(folder string) durable.Files { return below{p.storage, strings.TrimPrefix(folder, "/")} },
		Model: func(string, string, *slog.Logger, *health.Part) (agent.ModelChild, *inference.Manifest, error) {
			return modelChild{p.furnace}, manifest(), nil
		},
		Camera: func(string, drivers.CameraSettings, func() (drivers.CameraSettings, error), *slog.Logger, *health.Part) agent.CameraChild {
			return cameraChild{p.furnace}
		},
		Outbox: func(o delivery.Outbox) delivery.Outbox {
			p.promise = &promises{Outbox: o, process: p, silent: p.bug == dropNotCounted}
			return p.promise
		},
		Trace: p.made,
	}
}

// below is a subfolder of the disk.
type below struct {
	durable.Files
	folder string
}

func (f below) List(folder string) ([]durable.Entry, error) {
	return f.Files.List(path.Join(f.folder, folder))
}
func (f below) Read(name string, most int64) ([]byte, error) {
	return f.Files.Read(path.Join(f.folder, name), most)
}
func (f below) Create(name string) (durable.File, error) {
	return f.Files.Create(path.Join(f.folder, name))
}
func (f below) Extend(name string, size int64) (durable.File, error) {
	return f.Files.Extend(path.Join(f.folder, name), size)
}
func (f below) Rename(from, to string) error {
	return f.Files.Rename(path.Join(f.folder, from), path.Join(f.folder, to))
}
func (f below) Remove(name string) error { return f.Files.Remove(path.Join(f.folder, name)) }
func (f below) MakeFolder(folder string) error {
	return f.Files.MakeFolder(path.Join(f.folder, folder))
}
func (f below) SyncFolder(folder string) error {
	return f.Files.SyncFolder(path.Join(f.folder, folder))
}

// savedState returns the state that the agent may resume.
func (p *process) savedState() (saved state.Saved) {
	text, err := durable.ReadFile(p.storage, "state/state.json")
	if err != nil || json.Unmarshal(text, &saved) != nil {
		return state.Saved{}
	}
	return saved
}

// period returns the meter's period; a damaged document may rename the meter.
func (p *process) period() (period time.Duration) {
	for _, m := range p.config.Meters {
		period = m.Period
	}
	return period
}

// made handles each record as the agent makes it.
func (p *process) made(class message.Class, payload []byte, kept bool) {
	n := nameOf(payload)
	p.boot = n.Boot
	p.records.made(class, n, kept)
	if class != message.ClassEvent {
		return
	}
	p.after(0, func() { p.round() }) // wakes the spooler
	var e message.Event
	if err := json.Unmarshal(payload, &e); err != nil {
		p.violated("event %s: %v", payload, err)
		return
	}
	p.tell("event %s %s: %s -> %s: %s", e.Kind, e.Subject, e.From, e.To, e.Cause)
	if e.Kind == "state" {
		p.note("state", []byte(e.To))
	}
	if e.Kind == "outbox" && e.To == "damaged" && p.storage.unread.IsZero() {
		p.violated("an intact disk counts as damaged: %s: %s", e.Subject, e.Cause)
	}
}

// die ends the run, as SIGKILL or a power cut does.
func (p *process) die() {
	if p.dead {
		return
	}
	p.dead = true
	p.process = nil
	if p.agent == nil {
		return
	}
	if p.wire != nil {
		p.records.may += p.wire.leave()
		p.network.wire = nil
	}
	p.records.may += p.records.undone(p.refusing())
	p.count()
	trouble := time.Duration(-1)
	if !p.trouble.IsZero() {
		trouble = p.trouble.Sub(p.began)
	}
	p.records.crash(p.boot, trouble, p.agent.Publisher().Counters()["overrun"])
}

// counters returns the outbox's counters of dropped and lost records, as in health.
func (p *process) counters() map[string]uint64 {
	if p.promise != nil {
		return p.promise.Counters()
	}
	return p.agent.Publisher().Counters()
}

// count adds this run's counters of dropped and lost records.
func (p *process) count() {
	counters := p.counters()
	for class, a := range p.records.classes {
		a.counted += counters["dropped_"+string(class)] + counters["lost_"+string(class)]
	}
}

// refusing is the start of the disk's fault according to the outbox; zero without a
// fault.
func (p *process) refusing() time.Time {
	if o := p.agent.Status()["outbox"]; o.Status == "fault" {
		return o.Since
	}
	return time.Time{}
}

// well reports whether the outbox reports no fault.
func (p *process) well() bool { return p.refusing().IsZero() && !p.storage.PowerOff }

// poll reads the meter.
func (p *process) poll() bool {
	if p.dead {
		return false
	}
	if s, ok := p.furnace.sample(); ok {
		p.agent.Sample(s)
		p.step()
	}
	return true
}

func (p *process) decide() bool {
	if p.dead {
		return false
	}
	s := p.agent.Decide(context.Background())
	p.check(s)
	p.before = s.Status
	p.step()
	return true
}

func (p *process) publishHealth() bool {
	if p.dead {
		return false
	}
	p.agent.Health()
	p.step()
	return true
}

// check compares a decision with the promises.
func (p *process) check(s decide.Decision) {
	now, before := s.Status, p.before
	if p.furnace.blind(p.started) && now.State != state.Unknown && !(now.State == state.Abnormal && now.Held) {
		p.violated("%s (held %v) although all senses have failed for long", now.State, now.Held)
	}
	if before.State != state.Abnormal || now.State == state.Abnormal {
		return
	}
	denied := s.Verdict.Source != state.None && (s.Current.Live() || s.Video.Live())
	switch {
	case now.State == state.Off && s.Current.Live() && s.Verdict.Amperes < 0.1*setPoint:
	case now.State == state.Normal && denied:
	default:
		p.violated("abnormal became %s, source %s, current %s, video %s: %s", now.State, s.Verdict.Source, s.Current, s.Video, now.Cause)
	}
}

// round runs a round of the spooler, and plans the next one. Busy ones are half as frequent as in
// the agent, which saves time.
func (p *process) round() {
	if p.dead {
		return
	}
	if time.Now().Before(p.hung) {
		p.trouble = time.Now()
		p.after(500*time.Millisecond, p.round)
		return
	}
	p.agent.Save()
	p.after(max(p.agent.Publisher().Round(), 500*time.Millisecond), p.round)
	if !p.well() {
		p.trouble = time.Now()
	}
	p.records.forget(p.refusing())
	p.step()
}

func (p *process) dial() {
	if p.dead || p.connection != nil {
		return
	}
	p.dialled = time.Now()
	if p.wire = p.network.dial(p); p.wire == nil {
		p.redial(false)
		return
	}
	p.connection = p.agent.Publisher().Connect(p.wire)
	p.step()
}

func (p *process) redial(acked bool) {
	p.after(p.redialling.Next(acked, time.Since(p.dialled)), p.dial)
}

// wait is retry.Wait with the seed's random source.
func (p *process) wait(n int) time.Duration {
	full := min(retry.MinWait<<min(n, 10), retry.MaxWait)
	return p.between(full/2, full)
}

// step sends waiting messages, and plans the next step while history waits.
func (p *process) step() {
	if p.dead || p.connection == nil {
		return
	}
	if err := p.connection.Step(); err != nil {
		p.tell("%v", err)
		p.disconnected(p.wire)
		return
	}
	if p.agent.Publisher().Backlog() && !p.stepping {
		p.stepping = true
		p.after(50*time.Millisecond, func() { p.stepping = false; p.step() })
	}
}

func (p *process) acknowledged(id uint16) {
	if p.dead || p.connection == nil {
		return
	}
	p.connection.Acknowledge([]uint16{id})
	if p.agent.Publisher().Backlog() {
		p.step()
	}
}

func (p *process) disconnected(w *wire) {
	if p.dead || p.wire != w || p.connection == nil {
		return
	}
	p.records.may += w.leave()
	p.connection.End()
	p.connection, p.wire = nil, nil
	p.redial(w.acked)
}

// bounded checks the bounds of memory and disk.
func (p *process) bounded() {
	c := p.agent.Publisher().Counters()
	if queue := uint64(p.config.MQTT.Queue); c["fresh"] > queue || c["unwritten"] > queue {
		p.violated("%d fresh and %d unwritten records in memory, want %d at most", c["fresh"], c["unwritten"], queue)
	}
	// Allowed beyond the bound: the segments being written, damaged ones, and partial
	// writes of a full disk.
	const besides = 10 << 20
	if size, most := p.storage.Size(), int64(p.config.Outbox.TotalMB)*1_000_000+besides; size > most {
		p.violated("%d bytes on the disk, want %d at most", size, most)
	}
}

// drained reports whether no record waits.
func (p *process) drained() bool {
	c := p.agent.Publisher().Counters()
	return !slices.ContainsFunc([]string{"waiting_event", "waiting_state", "waiting_current"}, func(key string) bool { return c[key] > 0 })
}
