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
	b.every(500*time.Millisecond, b.round)
	b.after(b.between(0, time.Second), b.dial)
}

// env returns the agent's environment: all of it is simulated, but none of the agent's
// logic.
func (b *process) env() agent.Env {
	return agent.Env{
		Log: slog.New(slog.DiscardHandler), Level: &slog.LevelVar{}, Version: "simulated",
		Instance: fmt.Sprint(b.starts), KernelBoot: fmt.Sprintf("kernel %d", b.clock.boot),
		Clock: b.clock,
		Files: func(folder string) durable.Files { return below{b.storage, strings.TrimPrefix(folder, "/")} },
		Model: func(string, string, *slog.Logger, *health.Part) (agent.ModelChild, *inference.Manifest, error) {
			return modelChild{b.furnace}, manifest(), nil
		},
		Camera: func(string, drivers.CameraSettings, func() (drivers.CameraSettings, error), *slog.Logger, *health.Part) agent.CameraChild {
			return cameraChild{b.furnace}
		},
		Outbox: func(o delivery.Outbox) delivery.Outbox {
			b.promise = &promises{Outbox: o, process: b, silent: b.bug == dropNotCounted}
			return b.promise
		},
		Trace: b.made,
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
func (b *process) savedState() (saved state.Saved) {
	text, err := durable.ReadFile(b.storage, "state/state.json")
	if err != nil || json.Unmarshal(text, &saved) != nil {
		return state.Saved{}
	}
	return saved
}

// period returns the meter's period; a damaged document may rename the meter.
func (b *process) period() (period time.Duration) {
	for _, m := range b.config.Meters {
		period = m.Period
	}
	return period
}

// made handles each record as the agent makes it.
func (b *process) made(class message.Class, payload []byte, kept bool) {
	n := nameOf(payload)
	b.boot = n.Boot
	b.records.made(class, n, kept)
	if class != message.ClassEvent {
		return
	}
	b.after(0, func() { b.round() }) // wakes the spooler
	var e message.Event
	if err := json.Unmarshal(payload, &e); err != nil {
		b.violated("event %s: %v", payload, err)
		return
	}
	b.tell("event %s %s: %s -> %s: %s", e.Kind, e.Subject, e.From, e.To, e.Cause)
	if e.Kind == "state" {
		b.note("state", []byte(e.To))
	}
	if e.Kind == "outbox" && e.To == "damaged" && b.storage.unread.IsZero() {
		b.violated("an intact disk counts as damaged: %s: %s", e.Subject, e.Cause)
	}
}

// die ends the run, as SIGKILL or a power cut does.
func (b *process) die() {
	if b.dead {
		return
	}
	b.dead = true
	b.process = nil
	if b.agent == nil {
		return
	}
	if b.wire != nil {
		b.records.may += b.wire.leave()
		b.network.wire = nil
	}
	b.records.may += b.records.undone(b.refusing())
	b.count()
	trouble := time.Duration(-1)
	if !b.trouble.IsZero() {
		trouble = b.trouble.Sub(b.began)
	}
	b.records.crash(b.boot, trouble, b.agent.Publisher().Counters()["overrun"])
}

// counters returns the outbox's counters of dropped and lost records, as in health.
func (b *process) counters() map[string]uint64 {
	if b.promise != nil {
		return b.promise.Counters()
	}
	return b.agent.Publisher().Counters()
}

// count adds this run's counters of dropped and lost records.
func (b *process) count() {
	counters := b.counters()
	for class, a := range b.records.classes {
		a.counted += counters["dropped_"+string(class)] + counters["lost_"+string(class)]
	}
}

// refusing is the start of the disk's fault according to the outbox; zero without a
// fault.
func (b *process) refusing() time.Time {
	if o := b.agent.Status()["outbox"]; o.Status == "fault" {
		return o.Since
	}
	return time.Time{}
}

// well reports whether the outbox reports no fault.
func (b *process) well() bool { return b.refusing().IsZero() && !b.storage.PowerOff }

// poll reads the meter.
func (b *process) poll() bool {
	if b.dead {
		return false
	}
	if s, ok := b.furnace.sample(); ok {
		b.agent.Sample(s)
		b.step()
	}
	return true
}

func (b *process) decide() bool {
	if b.dead {
		return false
	}
	s := b.agent.Decide(context.Background())
	b.check(s)
	b.before = s.Status
	b.step()
	return true
}

func (b *process) publishHealth() bool {
	if b.dead {
		return false
	}
	b.agent.Health()
	b.step()
	return true
}

// check compares a decision with the promises.
func (b *process) check(s decide.Decision) {
	now, before := s.Status, b.before
	if b.furnace.blind(b.started) && now.State != state.Unknown && !(now.State == state.Abnormal && now.Held) {
		b.violated("%s (held %v) although all senses have failed for long", now.State, now.Held)
	}
	if before.State != state.Abnormal || now.State == state.Abnormal {
		return
	}
	denied := s.Verdict.Source != state.None && (s.Current.Live() || s.Video.Live())
	switch {
	case now.State == state.Off && s.Current.Live() && s.Verdict.Amperes < 0.1*setPoint:
	case now.State == state.Normal && denied:
	default:
		b.violated("abnormal became %s, source %s, current %s, video %s: %s", now.State, s.Verdict.Source, s.Current, s.Video, now.Cause)
	}
}

// round runs a round of the spooler.
func (b *process) round() bool {
	if b.dead {
		return false
	}
	if time.Now().Before(b.hung) {
		b.trouble = time.Now()
		return true
	}
	b.agent.Save()
	b.agent.Publisher().Round()
	if !b.well() {
		b.trouble = time.Now()
	}
	b.records.forget(b.refusing())
	b.step()
	return true
}

func (b *process) dial() {
	if b.dead || b.connection != nil {
		return
	}
	b.dialled = time.Now()
	if b.wire = b.network.dial(b); b.wire == nil {
		b.redial(false)
		return
	}
	b.connection = b.agent.Publisher().Connect(b.wire)
	b.step()
}

func (b *process) redial(acked bool) {
	b.after(b.redialling.Next(acked, time.Since(b.dialled)), b.dial)
}

// wait is retry.Wait with the seed's random source.
func (b *process) wait(n int) time.Duration {
	full := min(retry.MinWait<<min(n, 10), retry.MaxWait)
	return b.between(full/2, full)
}

// step sends waiting messages, and plans the next step while history waits.
func (b *process) step() {
	if b.dead || b.connection == nil {
		return
	}
	if err := b.connection.Step(); err != nil {
		b.tell("%v", err)
		b.disconnected(b.wire)
		return
	}
	if b.agent.Publisher().Backlog() && !b.stepping {
		b.stepping = true
		b.after(50*time.Millisecond, func() { b.stepping = false; b.step() })
	}
}

func (b *process) acknowledged(id uint16) {
	if b.dead || b.connection == nil {
		return
	}
	b.connection.Acknowledge([]uint16{id})
	if b.agent.Publisher().Backlog() {
		b.step()
	}
}

func (b *process) disconnected(w *wire) {
	if b.dead || b.wire != w || b.connection == nil {
		return
	}
	b.records.may += w.leave()
	b.connection.End()
	b.connection, b.wire = nil, nil
	b.redial(w.acked)
}

// bounded checks the bounds of memory and disk.
func (b *process) bounded() {
	c := b.agent.Publisher().Counters()
	if queue := uint64(b.config.MQTT.Queue); c["fresh"] > queue || c["unwritten"] > queue {
		b.violated("%d fresh and %d unwritten records in memory, want %d at most", c["fresh"], c["unwritten"], queue)
	}
	// Allowed beyond the bound: the segments being written, damaged ones, and partial
	// writes of a full disk.
	const besides = 10 << 20
	if size, most := b.storage.Size(), int64(b.config.Outbox.TotalMB)*1_000_000+besides; size > most {
		b.violated("%d bytes on the disk, want %d at most", size, most)
	}
}

// drained reports whether no record waits.
func (b *process) drained() bool {
	c := b.agent.Publisher().Counters()
	return !slices.ContainsFunc([]string{"waiting_event", "waiting_state", "waiting_current"}, func(key string) bool { return c[key] > 0 })
}
