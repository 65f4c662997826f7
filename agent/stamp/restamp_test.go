package stamp

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"meltwatch/agent/message"

	"github.com/google/go-cmp/cmp"
)

// wrongClock is the clock of a box that started with a wrong time.
type wrongClock struct {
	began  time.Time
	off    time.Duration // how far the wall clock is ahead
	synced bool
}

func (c *wrongClock) Wall(t time.Time) time.Time { return t.Add(c.off).UTC().Round(0) }
func (c *wrongClock) Boot() time.Duration        { return time.Since(c.began) }
func (c *wrongClock) Synced() bool               { return c.synced }

func encoded(t *testing.T, value any) []byte {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Every kind of record made with a wrong clock is published with the right time, and
// otherwise unchanged.
func TestRecordMadeBeforeTheClockWasSetGetsTheRightTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := &wrongClock{began: time.Now(), off: -20 * 365 * 24 * time.Hour}
		s := At(3, "kernel", clock, "")
		time.Sleep(90 * time.Second)
		made := time.Now()
		shown := clock.Wall(made)
		state := message.State{Stamp: s.Stamp("state", made), State: "abnormal", Since: shown.Add(-time.Minute), PMean: 0.123456789, Senses: message.Senses{Current: "ok", Video: "black"}}
		sample := message.Sample{Stamp: s.Stamp("current", made), A: 1.0 / 3, SetPoint: 15_000, Manual: true}
		event := message.Event{Stamp: s.Stamp("event", made), Kind: "state", Cause: `a "cause"`}
		alarm := message.Alarm{Stamp: s.Stamp("alarm", made), ID: "3-1", Raised: shown, Frames: []time.Time{shown},
			Shelved: &message.Shelved{At: shown, Until: shown.Add(time.Minute)}}
		payloads := map[message.Class][]byte{message.ClassState: encoded(t, state), message.ClassCurrent: encoded(t, sample), message.ClassEvent: encoded(t, event), message.ClassAlarm: encoded(t, alarm)}
		health := message.Health{Stamp: s.Stamp("health", made), Agent: "1", Parts: map[string]any{"mqtt": map[string]any{"status": "ok"}}}
		payloads[message.ClassHealth] = encoded(t, health)

		for class, payload := range payloads {
			if got := string(s.Restamp(class, payload)); got != string(payload) {
				t.Errorf("%s changed while the clock was unsynced: %s", class, got)
			}
		}
		time.Sleep(10 * time.Minute)
		clock.off, clock.synced = 0, true
		state.Time, state.Clock, state.Since = made.UTC().Round(0), "restamped", made.Add(-time.Minute).UTC().Round(0)
		sample.Time, sample.Clock = state.Time, "restamped"
		event.Time, event.Clock = state.Time, "restamped"
		right := made.UTC().Round(0)
		alarm.Time, alarm.Clock, alarm.Raised, alarm.Frames[0] = right, "restamped", right, right
		alarm.Shelved.At, alarm.Shelved.Until = right, right.Add(time.Minute)
		health.Time, health.Clock = right, "restamped"
		want := map[message.Class][]byte{message.ClassState: encoded(t, state), message.ClassCurrent: encoded(t, sample), message.ClassEvent: encoded(t, event), message.ClassAlarm: encoded(t, alarm)}
		want[message.ClassHealth] = encoded(t, health)
		for class, payload := range payloads {
			if diff := cmp.Diff(string(want[class]), string(s.Restamp(class, payload))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", class, diff)
			}
		}
	})
}

func TestRecordThatCannotBeCorrectedStaysUnchanged(t *testing.T) {
	clock := &wrongClock{began: time.Now()}
	before := At(3, "kernel 1", clock, "")
	unsynced := encoded(t, message.Event{Stamp: before.Stamp("event", time.Now()), Kind: "test"})
	clock.synced = true
	now := At(4, "kernel 2", clock, "")
	for name, payload := range map[string]string{
		"of another run of the kernel":    string(unsynced),
		"stamped by a clock that was set": string(encoded(t, message.Event{Stamp: now.Stamp("event", time.Now())})),
		"of a later version":              strings.Replace(strings.Replace(string(unsynced), "kernel 1", "kernel 2", 1), `"kind"`, `"sort":1,"kind"`, 1),
		"no JSON at all":                  `"clock":"unsynced" {`,
	} {
		if got := string(now.Restamp(message.ClassEvent, []byte(payload))); got != payload {
			t.Errorf("a record %s became %s", name, got)
		}
	}
}

// The wall clock jumps by a day, forward and back. Times of stamps follow it; mono_ms,
// by which records are compared, does not.
func TestClockJumpMovesNoMonotonicStamp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := &wrongClock{began: time.Now(), synced: true}
		s := At(1, "kernel", clock, "")
		last := s.Stamp("state", time.Now())
		for _, jump := range []time.Duration{24 * time.Hour, -24 * time.Hour} {
			clock.off += jump
			time.Sleep(time.Second)
			now := s.Stamp("state", time.Now())
			if now.MonoMS-last.MonoMS != 1000 || now.Time.Sub(last.Time) != jump+time.Second {
				t.Errorf("after a jump by %s: %d ms and %s apart", jump, now.MonoMS-last.MonoMS, now.Time.Sub(last.Time))
			}
			last = now
		}
	})
}

// FuzzRestamp checks that no payload panics, and that a changed payload is still a
// record.
func FuzzRestamp(f *testing.F) {
	clock := &wrongClock{began: time.Now()}
	s := At(1, "k", clock, "")
	for _, seed := range []any{message.State{Stamp: s.Stamp("state", time.Now())}, message.Sample{Stamp: s.Stamp("current", time.Now())}, message.Event{Stamp: s.Stamp("event", time.Now())}} {
		text, err := json.Marshal(seed)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	clock.synced = true
	f.Fuzz(func(t *testing.T, payload []byte) {
		for _, class := range message.Classes() {
			if got := s.Restamp(class, payload); string(got) != string(payload) && !json.Valid(got) {
				t.Fatalf("%s became %s", payload, got)
			}
		}
	})
}
