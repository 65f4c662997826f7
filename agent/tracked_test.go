package agent

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"meltwatch/agent/alarm"
	"meltwatch/agent/decide"
	"meltwatch/agent/message"
	"meltwatch/agent/stamp"
	"meltwatch/agent/state"
	"meltwatch/durable/crashfs"
	"meltwatch/inference"
)

// A command without an id is about the alarm, and without one about the suspicion; with an
// id it is about that one only.
func TestCommandsReachWhatStands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := alarm.Settings{
			Publish: func(message.Alarm) {}, Event: func(string, string, string, string, string) {},
			Stamper: stamp.At(7, "kernel", stamp.KernelClock{}, "test"), Files: crashfs.New(-1), Log: slog.New(slog.DiscardHandler),
			Thresholds: func() (float64, float64) { return 0.9, 0.6 }, Levels: func() inference.Rule { return inference.Rule{} },
		}
		a := &Agent{alarms: alarm.Open(s)}
		a.suspicions = alarm.OpenSuspicions(s, a.alarms)
		seq := uint64(0)
		decided := func(name string, level state.Level) {
			seq++
			now := message.State{Stamp: message.Stamp{Boot: 7, Seq: seq, Time: time.Now()}, State: name, Since: time.Now(), Level: string(level), LevelSince: time.Now()}
			for _, of := range []*alarm.Tracker{a.alarms, a.suspicions} {
				of.Decided(now, decide.Decision{}, false)
			}
			time.Sleep(time.Second)
		}
		decided("normal", state.LevelNone)
		if err := a.shelve("", "Li", "tapping", time.Minute); err == nil || !strings.Contains(err.Error(), "no alarm is active") {
			t.Errorf("nothing stands: %v", err)
		}
		decided("normal", state.LevelSuspected)
		early := a.suspicions.Newest().ID
		if err := a.shelve("", "Li", "tapping", time.Minute); err != nil || a.suspicions.Newest().Phase != message.AlarmShelved {
			t.Errorf("the suspicion: %v, %+v", err, a.suspicions.Newest())
		}
		decided("abnormal", state.LevelAlarm)
		alarmed := a.alarms.Newest()
		if alarmed.Phase != message.AlarmRaised || alarmed.Shelved != nil {
			t.Errorf("the alarm is silenced by what silenced the suspicion: %+v", alarmed)
		}
		if err := a.shelve(early, "Li", "tapping", time.Minute); err == nil || !strings.Contains(err.Error(), alarmed.ID) {
			t.Errorf("a late command for the suspicion: %v", err)
		}
		if a.alarms.Newest().Phase != message.AlarmRaised {
			t.Error("a late command silenced the alarm")
		}
		if err := a.shelve("", "Li", "tapping", time.Minute); err != nil || a.alarms.Newest().Phase != message.AlarmShelved || a.suspicions.Newest().Phase != message.AlarmCleared {
			t.Errorf("the alarm: %v, %+v, %+v", err, a.alarms.Newest(), a.suspicions.Newest())
		}
	})
}
