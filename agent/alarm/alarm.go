// Package alarm follows the furnace's alarms and suspicions: it explains each when it is
// raised, and keeps who has acknowledged or shelved it, also across a restart of the agent.
//
// The words are those of ISA-18.2: an alarm is raised, may be acknowledged, may be
// shelved for a time with a reason, and is cleared. None of it changes the furnace's
// state, and each alarm starts unacknowledged: what silences one never silences the next.
package alarm

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"meltwatch/agent/decide"
	"meltwatch/agent/message"
	"meltwatch/agent/stamp"
	"meltwatch/durable"
	"meltwatch/inference"
)

// Settings are what a Tracker needs.
type Settings struct {
	// Publish publishes an alarm, Event a step of its life. Neither blocks.
	Publish func(message.Alarm)
	Event   func(kind, subject, from, to, cause string)
	// Raised is called when a new alarm is raised; it must not block. It may be nil.
	Raised  func(message.Alarm)
	Stamper *stamp.Stamper
	Files   durable.Files // the state folder
	Log     *slog.Logger
	// Thresholds and Levels are those in effect.
	Thresholds func() (enter, exit float64)
	Levels     func() inference.Rule
}

// file and suspicionFile hold the alarm and the suspicion for the next start.
const (
	file          = "alarm.json"
	suspicionFile = "suspicion.json"
)

const (
	// maxShelved bounds how long an alarm may be shelved.
	maxShelved = 8 * time.Hour
	maxBy      = 64  // bytes
	maxReason  = 200 // bytes
)

// Tracker follows the alarms, or the suspicions, of which at most one is active. Decided is
// called by the decision loop only; the other methods are safe for concurrent use.
type Tracker struct {
	Settings
	kind
	background *Background // of the decision loop

	mu  sync.Mutex
	now *message.Alarm // the newest; nil before the first
	// unshelve is when a shelved alarm is raised again, by the monotonic clock: a wall
	// clock that is set must not prolong the silence.
	unshelve time.Time
	saving   chan message.Alarm
}

// Open reads the last alarm. A damaged file is logged and ignored: the state tells
// whether there is an alarm.
func Open(s Settings) *Tracker { return open(s, alarms, &Background{}) }

// OpenSuspicions reads the last suspicion, as Open does. The tracker of the alarms, whose
// Decided must be called first, also observes the picture for it.
func OpenSuspicions(s Settings, beside *Tracker) *Tracker {
	return open(s, suspicions, beside.background)
}

func open(s Settings, k kind, background *Background) *Tracker {
	b := &Tracker{Settings: s, kind: k, background: background, saving: make(chan message.Alarm, 1)}
	text, err := durable.ReadFile(s.Files, k.file)
	if errors.Is(err, fs.ErrNotExist) {
		return b
	}
	var last message.Alarm
	if err == nil {
		err = json.Unmarshal(text, &last)
	}
	if err != nil || last.ID == "" {
		s.Log.Warn("last alarm not read", "kind", k.name, "err", err)
		return b
	}
	b.now = &last
	if last.Shelved != nil {
		b.unshelve = time.Now().Add(shelvedFor(*last.Shelved, s.Stamper.Wall(time.Now())))
	}
	return b
}

// shelvedFor is how long an alarm stays shelved. A clock behind the instant at which it was
// shelved does not tell how much of the time is over, so then the alarm is raised again.
func shelvedFor(s message.Shelved, now time.Time) time.Duration {
	if now.Before(s.At) {
		return 0
	}
	return min(s.Until.Sub(now), maxShelved)
}

// Newest returns the newest alarm, nil before the first.
func (b *Tracker) Newest() *message.Alarm {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.now == nil {
		return nil
	}
	copied := *b.now
	return &copied
}

// Change is where the newest frame is brighter than its background, or nil. The decision
// loop calls it.
func (b *Tracker) Change() *message.Change { return b.background.Change() }

// Decided follows a decision, published as now.
func (b *Tracker) Decided(now message.State, d decide.Decision, frozen bool) {
	if b.kind.observes {
		b.background.Observe(d.Frame, frozen)
	}
	s := b.standing(now, d)
	b.mu.Lock()
	defer b.mu.Unlock()
	active := b.active()
	switch {
	case s.on && !active:
		b.raise(now, d, s)
	case s.on && !s.since.Equal(b.now.Raised):
		// The last one's end was not saved before the agent started again. Whoever has
		// seen that one has not seen this one.
		b.clear(now.Time, "another "+b.name+" began")
		b.raise(now, d, s)
	case s.on && b.now.Held != s.held:
		b.now.Held = s.held
		b.publish()
	case s.on && b.now.Phase == message.AlarmShelved && !time.Now().Before(b.unshelve):
		b.move(message.AlarmRaised, "the time is over")
	case !s.on && active && now.State != "":
		b.clear(now.Time, cmp.Or(s.cause, "the agent started again, and there is no "+b.name))
	}
}

// active reports whether an alarm stands. The lock is held.
func (b *Tracker) active() bool { return b.now != nil && b.now.Phase != message.AlarmCleared }

// Has reports whether the active alarm is the one with an id, or any if the id is empty.
func (b *Tracker) Has(id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.active() && (id == "" || id == b.now.ID)
}

// clear ends the alarm. The lock is held.
func (b *Tracker) clear(at time.Time, cause string) {
	b.now.Cleared, b.now.Held = at, false
	b.move(message.AlarmCleared, cause)
}

// raise makes a new alarm of the decision.
func (b *Tracker) raise(now message.State, d decide.Decision, s standing) {
	enter, exit := b.Thresholds()
	levels := b.Levels()
	a := message.Alarm{
		ID: fmt.Sprintf("%d-%d", now.Boot, now.Seq), Phase: message.AlarmRaised, Raised: s.since,
		Cause: s.cause, Held: s.held, Source: now.Source, PAbnormal: now.PAbnormal, PMean: s.mean,
		Enter: enter, Exit: exit, Alone: now.Alone,
		CV120: known(d.CV120), CV45: known(d.CV45), Level120: levels.CV120, Level45: levels.CV45,
		Senses: now.Senses, Coverage: now.Coverage, Counted: now.Counted,
		ClockOffsetS: now.ClockOffsetS, ClockCorrectionS: now.ClockCorrectionS,
		Frames: []time.Time{}, Evidence: now.Evidence, Change: b.background.Change(), Model: now.Model,
	}
	for _, t := range d.FrameTimes {
		a.Frames = append(a.Frames, b.Stamper.Wall(t))
	}
	if !a.Counted.Video {
		a.Evidence, a.Change = nil, nil
	}
	a.Agree = agree(a.Evidence, a.Change)
	a.Summary = b.summary(a)
	b.now = &a
	b.Event(b.name, a.ID, "", a.Phase, a.Summary)
	b.publish()
	if b.Raised != nil {
		b.Raised(a)
	}
}

func known(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

// move changes the phase, with an event. The lock is held.
func (b *Tracker) move(phase, cause string) {
	from := b.now.Phase
	b.now.Phase = phase
	b.Event(b.name, b.now.ID, from, phase, cause)
	b.publish()
}

// publish publishes the alarm and marks it to be saved. The lock is held.
func (b *Tracker) publish() {
	b.now.Stamp = b.Stamper.Stamp(b.name, time.Now())
	b.Publish(*b.now)
	for {
		select {
		case b.saving <- *b.now:
			return
		case <-b.saving: // the newest is written
		}
	}
}

var errNoAlarm = errors.New("no alarm is active, so there is nothing to acknowledge or shelve")

// meant checks that the alarm that somebody has seen is the active one; "" means whichever
// is active. The lock is held.
func (b *Tracker) meant(id string) error {
	if !b.active() {
		return errNoAlarm
	}
	if id != "" && id != b.now.ID {
		return fmt.Errorf("alarm: %.64q has ended, and alarm %s is active: look at that one", id, b.now.ID)
	}
	return nil
}

// Acknowledge records that somebody has seen the alarm with an id, or the active one if
// the id is empty.
func (b *Tracker) Acknowledge(id, by string) error {
	if err := checkName(by); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.meant(id); err != nil {
		return err
	}
	b.now.Acknowledged = &message.Acknowledged{By: by, At: b.Stamper.Wall(time.Now())}
	b.move(message.AlarmAcknowledged, "by "+by)
	return nil
}

// Shelve records that somebody has silenced the alarm with an id, or the active one if the
// id is empty, for a time, and why.
func (b *Tracker) Shelve(id, by, reason string, lasts time.Duration) error {
	switch {
	case lasts < time.Minute || lasts > maxShelved:
		return fmt.Errorf("minutes: %s is out of bounds: shelve for 1 to %.0f minutes", lasts, maxShelved.Minutes())
	case reason == "" || len(reason) > maxReason || !plain(reason):
		return fmt.Errorf("reason: is missing, longer than %d bytes or not plain text", maxReason)
	}
	if err := checkName(by); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.meant(id); err != nil {
		return err
	}
	at := b.Stamper.Wall(time.Now())
	b.unshelve = time.Now().Add(lasts)
	b.now.Shelved = &message.Shelved{By: by, At: at, Until: at.Add(lasts), Reason: reason}
	b.move(message.AlarmShelved, fmt.Sprintf("by %s for %s: %s", by, lasts, reason))
	return nil
}

func checkName(by string) error {
	if by == "" || len(by) > maxBy || !plain(by) || strings.TrimSpace(by) != by {
		return fmt.Errorf("by: is missing, longer than %d bytes or not plain text: say who you are", maxBy)
	}
	return nil
}

func plain(text string) bool {
	return utf8.ValidString(text) && !slices.ContainsFunc([]rune(text), unicode.IsControl)
}

// Saves is where the newest alarm waits to be saved with Save, outside the decision loop.
func (b *Tracker) Saves() <-chan message.Alarm { return b.saving }

// Save writes an alarm for the next start.
func (b *Tracker) Save(a message.Alarm) error {
	text, err := json.Marshal(a)
	if err == nil {
		err = durable.Replace(b.Files, b.file, text)
	}
	if err != nil {
		return fmt.Errorf("save %s: %w", b.name, err)
	}
	return nil
}
