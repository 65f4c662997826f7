package simtest

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"meltwatch/agent/decide"
	"meltwatch/agent/delivery"
	"meltwatch/agent/message"
	"meltwatch/agent/outbox"
	"meltwatch/agent/stamp"
	"meltwatch/agent/state"
	"meltwatch/config"
)

const root = "meltwatch/plant-1/f07/"

// box is one run of the agent, from its start to its death.
type box struct {
	*world
	config    config.Config
	stamper   *stamp.Stamper
	kept      *kept
	outbox    delivery.Outbox // the kept one, or what waits in memory until that opens
	publisher *delivery.Publisher
	judge     *decide.Decider

	wire       *wire
	connection *delivery.Connection
	tries      int
	hung       time.Time // until when the keeper waits for the disk
	trouble    time.Time // when the disk was last in trouble
	started    time.Time
	before     state.Status
	senses     [2]string
	stepping   bool // a step is planned
	dead       bool
}

// nobody observes the connection.
type nobody struct{}

func (nobody) Beat()                   {}
func (nobody) OK()                     {}
func (nobody) Fault(error)             {}
func (nobody) Count(map[string]uint64) {}

// start is the agent's start on this box as it is now.
func (w *world) start() {
	if w.dark || w.box != nil {
		return // without power, or running again already
	}
	w.boot++
	w.book.start()
	b := &box{world: w, config: w.settings(), started: time.Now()}
	if w.broken != nil {
		return
	}
	w.box = b
	b.stamper = stamp.At(uint64(w.boot), fmt.Sprintf("kernel %d", w.clock.boot), w.clock, fmt.Sprint(w.boot))
	b.kept = &kept{book: w.book, storage: w.storage, silent: w.bug == dropNotCounted}
	b.openOutbox()
	b.publisher = delivery.New(b.config.MQTT, root, b.stamper, b.outbox, slog.New(slog.DiscardHandler), nobody{})
	m := manifest()
	b.judge = decide.NewDecider(decide.Settings{
		Manifest: m, Rule: m.Rule, Timeout: b.config.Model.Timeout, Period: b.period(),
		Params: state.Params{MeanSeconds: m.Decision.MeanSeconds, Enter: m.Decision.Enter, Exit: m.Decision.Exit, HoldSeconds: m.Decision.HoldSeconds},
	}, w.furnace)
	b.judge.Machine().Resume(w.saved, time.Now())
	if w.saved.State == state.Abnormal && time.Since(w.saved.Seen) < 10*time.Minute {
		b.before.State = state.Abnormal
	}
	b.event("start", "")
	b.every(b.period(), b.poll)
	b.every(time.Second, b.second)
	b.every(500*time.Millisecond, b.round)
	b.after(b.between(0, time.Second), b.dial)
}

// openOutbox opens what the storage keeps. While that cannot be read records wait
// in memory, as the agent has them do.
func (b *box) openOutbox() {
	open := func() (delivery.Outbox, error) {
		log, err := outbox.Open(b.storage, bounds(b.config), slog.New(slog.DiscardHandler), b.kept, b.incident)
		if err != nil {
			if b.storage.reads == nil {
				b.violated("a disk that can be read is not opened: %v", err)
			}
			b.kept.Fault(err)
			return nil, err
		}
		b.kept.OK()
		b.kept.Log = log
		return b.kept, nil
	}
	var err error
	if b.outbox, err = open(); err != nil {
		b.outbox = delivery.NewRecovering(b.config.MQTT.Queue, open)
	}
}

// period of the meter, whatever a damaged document calls it.
func (b *box) period() (period time.Duration) {
	for _, m := range b.config.Meters {
		period = m.Period
	}
	return period
}

func bounds(c config.Config) outbox.Settings {
	const megabyte = 1_000_000
	of := func(mb int, age time.Duration) outbox.Retention {
		return outbox.Retention{Bytes: int64(mb) * megabyte, Age: age}
	}
	o := c.Outbox
	return outbox.Settings{
		Bytes: int64(o.TotalMB) * megabyte, MemoryRecords: c.MQTT.Queue,
		Event: of(o.EventMB, o.EventAge), State: of(o.StateMB, o.StateAge), Current: of(o.CurrentMB, o.CurrentAge),
	}
}

// die ends the run: by a signal that cannot be caught, or with the power.
func (b *box) die() {
	if b.dead {
		return
	}
	b.dead = true
	b.box = nil
	if b.wire != nil {
		b.book.may += b.wire.leave()
		b.network.wire = nil
	}
	b.book.may += b.book.undone(b.kept.refusing)
	counters := b.outbox.Counters() // as health would say
	b.count(counters)
	overrun := b.publisher.Counters()["overrun"]
	trouble := time.Duration(-1)
	if !b.trouble.IsZero() {
		trouble = b.trouble.Sub(b.began)
	}
	b.book.crash(b.boot, trouble, overrun)
}

// count adds what this run says it dropped and lost.
func (b *box) count(counters map[string]uint64) {
	for class, a := range b.book.classes {
		a.counted += counters["dropped_"+class] + counters["lost_"+class]
	}
}

func (b *box) event(kind, cause string) {
	stamp := b.stamper.Stamp(outbox.Event, time.Now())
	b.book.made(outbox.Event, stamp.Boot, stamp.Seq, true)
	b.publisher.Event(message.Event{Stamp: stamp, Kind: kind, Cause: cause})
	b.after(0, func() { b.round() }) // the keeper is woken
}

func (b *box) incident(i outbox.Incident) {
	b.tell("outbox %s %s: %s", i.Class, i.What, i.Cause)
	if i.What == "damaged" && b.storage.unread.IsZero() {
		b.violated("a sound disk counts as damaged: %s: %s", i.Class, i.Cause)
	}
	if b.publisher == nil {
		return
	}
	b.event("outbox", i.Cause)
}

// poll reads the meter.
func (b *box) poll() bool {
	if b.dead {
		return false
	}
	s, ok := b.furnace.sample()
	if !ok {
		return true
	}
	stamp := b.stamper.Stamp(outbox.Current, s.Time)
	b.book.made(outbox.Current, stamp.Boot, stamp.Seq, true)
	b.publisher.Sample(message.Sample{Stamp: stamp, A: s.Current[0], B: s.Current[1], C: s.Current[2], SetPoint: s.SetPoint})
	b.judge.Sample(s)
	b.step()
	return true
}

// second decides, as decide.Loop would.
func (b *box) second() bool {
	if b.dead {
		return false
	}
	frame, video := b.furnace.frame()
	s := b.judge.Decide(context.Background(), time.Now(), frame, video)
	b.check(s)
	changed := s.Status.State != b.before.State || s.Status.Held != b.before.Held
	if senses := [2]string{string(s.Current), string(s.Video)}; senses != b.senses {
		b.senses = senses
		b.event("sense", "")
	}
	if changed {
		b.tell("state %s held %v by %s: %s", s.Status.State, s.Status.Held, s.Verdict.Source, s.Status.Cause)
		b.note("state", []byte(s.Status.State))
		b.event("state", s.Status.Cause)
	}
	if changed || s.Status.State == state.Abnormal && time.Since(b.saved.Seen) > time.Minute {
		b.saved = b.judge.Machine().Save(time.Now())
	}
	stamp := b.stamper.Stamp(outbox.State, s.End)
	b.book.made(outbox.State, stamp.Boot, stamp.Seq, changed)
	b.publisher.State(message.State{
		Stamp: stamp, State: string(s.Status.State), Since: b.clock.Wall(s.Status.Since), Held: s.Status.Held,
		PAbnormal: s.Verdict.P, PMean: s.Status.P, Source: string(s.Verdict.Source),
		Senses:   message.Senses{Current: string(s.Current), Video: string(s.Video)},
		Coverage: message.Coverage{Current: s.CurrentCoverage, Video: s.VideoCoverage},
	}, changed)
	b.before = s.Status
	b.step()
	return true
}

// check holds a decided second against what is promised of it.
func (b *box) check(s decide.Decision) {
	now, before := s.Status, b.before
	if b.furnace.blind(b.started) && now.State != state.Unknown && !(now.State == state.Abnormal && now.Held) {
		b.violated("%s (held %v) though no sense has been worth anything for long", now.State, now.Held)
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

// round is the keeper's.
func (b *box) round() bool {
	if b.dead {
		return false
	}
	if time.Now().Before(b.hung) {
		b.trouble = time.Now()
		return true
	}
	b.publisher.Round()
	if !b.kept.well() {
		b.trouble = time.Now()
	}
	b.book.forget(b.kept.refusing)
	b.step()
	return true
}

func (b *box) dial() {
	if b.dead || b.connection != nil {
		return
	}
	if b.wire = b.network.dial(b); b.wire == nil {
		b.redial()
		return
	}
	b.connection = b.publisher.Connect(b.wire)
	b.tries = 0
	b.step()
}

func (b *box) redial() {
	wait := 250 * time.Millisecond << min(b.tries, 5)
	b.tries++
	b.after(b.between(wait/2, wait), b.dial)
}

// step sends what there is to send, and again soon while history waits.
func (b *box) step() {
	if b.dead || b.connection == nil {
		return
	}
	if err := b.connection.Step(); err != nil {
		b.tell("%v", err)
		b.disconnected(b.wire)
		return
	}
	if b.publisher.Backlog() && !b.stepping {
		b.stepping = true
		b.after(50*time.Millisecond, func() { b.stepping = false; b.step() })
	}
}

func (b *box) acknowledged(id uint16) {
	if b.dead || b.connection == nil {
		return
	}
	b.connection.Acknowledge([]uint16{id})
	if b.publisher.Backlog() {
		b.step()
	}
}

func (b *box) disconnected(w *wire) {
	if b.dead || b.wire != w || b.connection == nil {
		return
	}
	b.book.may += w.leave()
	b.connection.End()
	b.connection, b.wire = nil, nil
	b.redial()
}

// bounded checks what memory and disk hold.
func (b *box) bounded() {
	c := b.publisher.Counters()
	if queue := uint64(b.config.MQTT.Queue); c["fresh"] > queue || c["unwritten"] > queue {
		b.violated("%d fresh and %d unwritten records in memory, want %d at most", c["fresh"], c["unwritten"], queue)
	}
	// Beside the bound: the segments being written, those kept aside, the garbage
	// of a disk that filled up.
	const besides = 10 << 20
	if size, most := b.storage.Size(), int64(b.config.Outbox.TotalMB)*1_000_000+besides; size > most {
		b.violated("%d bytes on the disk, want %d at most", size, most)
	}
}

// drained reports whether nothing waits any more.
func (b *box) drained() bool {
	c := b.publisher.Counters()
	return !slices.ContainsFunc([]string{"waiting_event", "waiting_state", "waiting_current"}, func(key string) bool { return c[key] > 0 })
}
