package alarm

import (
	"testing"
	"testing/synctest"
	"time"

	"meltwatch/agent/message"
	"meltwatch/durable/crashfs"
)

// What was done to an alarm never counts for another one: not after a start that finds an
// older alarm on the disk, whatever the pause between the two, and not for a person who
// has seen the one before.
func TestAnotherAlarmIsUnseen(t *testing.T) {
	for name, apart := range map[string]time.Duration{"at once": 20 * time.Second, "later": 3 * time.Hour, "before it, by a clock put back": -time.Hour} {
		for _, held := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					d, files := &desk{}, crashfs.New(-1)
					b := d.open(files)
					began := time.Now()
					d.second(b, "abnormal", began, false)
					if err := b.Acknowledge("", "Li"); err != nil {
						t.Fatal(err)
					}
					if err := b.Shelve("", "Li", "tapping", 8*time.Hour); err != nil {
						t.Fatal(err)
					}
					if err := b.Save(<-b.Saves()); err != nil {
						t.Fatal(err)
					}
					first := d.last()
					b = d.open(files) // the next alarm was saved as state, not as alarm
					for range 3 {
						d.second(b, "abnormal", began.Add(apart), held)
					}
					if a := d.last(); a.ID == first.ID || a.Phase != message.AlarmRaised || a.Acknowledged != nil || a.Shelved != nil || a.Held != held {
						t.Errorf("the other alarm begins as %+v", a)
					}
					if d.events[len(d.events)-2] != "alarm "+first.ID+" shelved>cleared" {
						t.Errorf("events %q: the first alarm must end", d.events)
					}
					if err := b.Acknowledge(first.ID, "Li"); err == nil {
						t.Error("who saw the first alarm acknowledged the other")
					}
					if err := b.Shelve(first.ID, "Li", "tapping", time.Hour); err == nil {
						t.Error("who saw the first alarm shelved the other")
					}
					if err := b.Acknowledge(d.last().ID, "Li"); err != nil {
						t.Error(err)
					}
				})
			})
		}
	}
}

// A start never prolongs a shelf, whatever the clock says.
func TestShelfEndsAcrossAStart(t *testing.T) {
	at := time.Date(2026, 11, 28, 13, 0, 0, 0, time.UTC)
	s := message.Shelved{At: at, Until: at.Add(time.Hour)}
	for now, want := range map[time.Duration]time.Duration{
		0: time.Hour, 40 * time.Minute: 20 * time.Minute, 2 * time.Hour: -time.Hour,
		-time.Second: 0, -56 * 365 * 24 * time.Hour: 0, // a clock that starts in 1970
	} {
		if left := shelvedFor(s, at.Add(now)); left != want {
			t.Errorf("%s after it was shelved: %s left, want %s", now, left, want)
		}
	}
}
