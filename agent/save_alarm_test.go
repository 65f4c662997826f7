package agent

import (
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"meltwatch/agent/alarm"
	"meltwatch/agent/decide"
	"meltwatch/agent/message"
	"meltwatch/agent/stamp"
	"meltwatch/agent/state"
	"meltwatch/durable"
	"meltwatch/durable/crashfs"
	"meltwatch/inference"
)

// fullDisk refuses to create files while it is full.
type fullDisk struct {
	durable.Files
	full atomic.Bool
}

func (d *fullDisk) Create(name string) (durable.File, error) {
	if d.full.Load() {
		return nil, errors.New("disk is full")
	}
	return d.Files.Create(name)
}

// What was done to an alarm reaches the disk once it has room, and also if it was done
// while the agent ended.
func TestAlarmIsSavedAfterAFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &fullDisk{Files: crashfs.New(-1)}
		open := func() *alarm.Tracker {
			return alarm.Open(alarm.Settings{
				Publish: func(message.Alarm) {}, Event: func(string, string, string, string, string) {},
				Stamper: stamp.At(7, "kernel", stamp.KernelClock{}, "test"), Files: disk, Log: slog.New(slog.DiscardHandler),
				Thresholds: func() (float64, float64) { return 0.9, 0.6 }, Levels: func() inference.Rule { return inference.Rule{} },
			})
		}
		a := &Agent{alarms: open(), env: Env{Log: slog.New(slog.DiscardHandler)}}
		ended, saved := make(chan struct{}), make(chan struct{})
		go func() { a.saveSteps(a.alarms, ended); close(saved) }()
		disk.full.Store(true)
		began := time.Now()
		a.alarms.Decided(message.State{Stamp: message.Stamp{Seq: 3}, State: "abnormal", Since: began}, decide.Decision{Status: state.Status{State: state.Abnormal}}, false)
		time.Sleep(time.Minute)
		disk.full.Store(false)
		time.Sleep(saveAlarmAgain)
		synctest.Wait()
		if last := open().Newest(); last == nil || last.Phase != message.AlarmRaised {
			t.Errorf("after the disk was full: %+v", last)
		}
		if err := a.alarms.Acknowledge("", "Li"); err != nil {
			t.Fatal(err)
		}
		close(ended)
		<-saved
		if last := open().Newest(); last == nil || last.Acknowledged == nil {
			t.Errorf("after the end: %+v", last)
		}
	})
}
