package alarm

import (
	"log/slog"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"meltwatch/agent/decide"
	"meltwatch/agent/message"
	"meltwatch/agent/stamp"
	"meltwatch/agent/state"
	"meltwatch/durable"
	"meltwatch/durable/crashfs"
	"meltwatch/inference"
)

// suspicionsOf opens a desk's tracker of suspicions.
func (d *desk) suspicionsOf(files durable.Files) *Tracker {
	alarms := (&desk{}).open(files)
	return OpenSuspicions(Settings{
		Publish: func(a message.Alarm) { d.alarms = append(d.alarms, a) },
		Event:   func(kind, _, from, to, cause string) { d.events = append(d.events, kind+" "+from+">"+to+": "+cause) },
		Stamper: stamp.At(7, "kernel", stamp.KernelClock{}, "test"), Files: files, Log: slog.New(slog.DiscardHandler),
		Thresholds: func() (float64, float64) { return 0.6, 0.3 }, Levels: func() inference.Rule { return inference.Rule{} },
	}, alarms)
}

// leveled is one decided second at a level that began at a time.
func (d *desk) leveled(b *Tracker, level state.Level, since time.Time, held bool, cause string) {
	d.seq++
	name := map[state.Level]string{state.LevelAlarm: "abnormal"}[level]
	if name == "" {
		name = "normal"
	}
	now := message.State{
		Stamp: message.Stamp{Time: time.Now(), Boot: 7, Seq: d.seq}, State: name, Level: string(level), LevelSince: since, LevelHeld: held, Source: "model",
		PMean: 0.2, PAbnormal: 0.7, Counted: message.Counted{Current: true}, Senses: message.Senses{Current: "ok", Video: "absent"},
	}
	suspicion := state.Suspicion{On: level == state.LevelSuspected, P: 0.65, Cause: cause}
	b.Decided(now, decide.Decision{End: time.Now(), Status: state.Status{State: state.State(name), Suspicion: suspicion}, CV120: math.NaN(), CV45: math.NaN()}, false)
	time.Sleep(time.Second)
}

// A suspicion goes through the phases of an alarm, on its own topic and in its own file.
func TestLifeOfASuspicion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, files := &desk{}, crashfs.New(-1)
		b := d.suspicionsOf(files)
		began := time.Now()
		d.leveled(b, state.LevelSuspected, began, false, "mean over 0.6")
		first := d.last()
		if first.Phase != message.AlarmRaised || !first.Raised.Equal(began) || first.PMean != 0.65 || first.Enter != 0.6 || first.Exit != 0.3 || first.Cause != "mean over 0.6" {
			t.Errorf("raised %+v", first)
		}
		for _, want := range []string{"An early warning, not an alarm yet", "0.650", "0.600"} {
			if !strings.Contains(first.Summary, want) {
				t.Errorf("summary %q lacks %q", first.Summary, want)
			}
		}
		if !b.Has("") || !b.Has(first.ID) || b.Has("another") {
			t.Error("the active suspicion is not found by its id")
		}
		d.leveled(b, state.LevelSuspected, began, true, "")
		if !d.last().Held {
			t.Error("not held")
		}
		if err := b.Shelve(first.ID, "Wang", "tapping", 2*time.Minute); err != nil {
			t.Fatal(err)
		}
		for range 130 {
			d.leveled(b, state.LevelSuspected, began, false, "")
		}
		if a := d.last(); a.Phase != message.AlarmRaised || a.ID != first.ID {
			t.Errorf("after the shelving: %+v", a)
		}
		if err := b.Acknowledge(first.ID, "Li"); err != nil {
			t.Fatal(err)
		}
		if err := b.Save(<-b.Saves()); err != nil {
			t.Fatal(err)
		}
		// Another start of the agent knows who has acknowledged it.
		b = d.suspicionsOf(files)
		d.leveled(b, state.LevelSuspected, began, true, "")
		if a := d.last(); a.ID != first.ID || a.Acknowledged == nil || a.Acknowledged.By != "Li" {
			t.Errorf("after the restart: %+v", a)
		}
		d.leveled(b, state.LevelAlarm, time.Now(), false, "the alarm takes its place")
		if a := d.last(); a.Phase != message.AlarmCleared || a.ID != first.ID || b.Has("") {
			t.Errorf("beside the alarm: %+v", a)
		}
		if last := d.events[len(d.events)-1]; last != "suspicion acknowledged>cleared: the alarm takes its place" {
			t.Errorf("last event %q", last)
		}
		if slices.ContainsFunc(d.events, func(e string) bool { return !strings.HasPrefix(e, "suspicion ") }) {
			t.Errorf("events %q", d.events)
		}
		// The next one is unseen.
		d.leveled(b, state.LevelSuspected, time.Now(), false, "again")
		if a := d.last(); a.ID == first.ID || a.Phase != message.AlarmRaised || a.Acknowledged != nil {
			t.Errorf("the next one: %+v", a)
		}
		if _, err := durable.ReadFile(files, file); err == nil {
			t.Error("a suspicion was saved as an alarm")
		}
	})
}
