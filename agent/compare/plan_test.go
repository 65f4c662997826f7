package compare

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"meltwatch/agent/message"
	"meltwatch/agent/recorder"
	"meltwatch/durable"
)

type nothing struct{}

func (nothing) Beat()                   {}
func (nothing) OK()                     {}
func (nothing) Fault(error)             {}
func (nothing) Count(map[string]uint64) {}

// A stretch that was decided with another correction than the one with which a comparison
// begins has a long lead, in which the correction gets there.
func TestLeadIsLongWhereTheCorrectionIsAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := durable.Folder(t.TempDir())
		r := recorder.New(recorder.Settings{Files: files, MaxBytes: 1 << 30, MaxAge: time.Hour,
			Wall: func(t time.Time) time.Time { return t.UTC().Round(0) }, Log: slog.New(slog.DiscardHandler), Observer: nothing{}})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- r.Run(ctx) }()
		began := time.Now()
		for range 60 {
			time.Sleep(time.Second)
			now := time.Now()
			r.Second(recorder.Second{Decided: now, State: message.State{Stamp: message.Stamp{Time: now.UTC()}, State: "normal", ClockCorrectionS: 3}})
		}
		cancel()
		<-ended
		from, to := began.Add(20*time.Second), began.Add(40*time.Second)
		for delay, want := range map[time.Duration]time.Duration{0: longLead, 3 * time.Second: lead, 2900 * time.Millisecond: lead, -3 * time.Second: longLead} {
			spans, err := plan(recorder.OpenLibrary(string(files)), []recorder.Label{{ID: "1", Class: recorder.ClassNormal, From: from, To: to}}, delay)
			if err != nil || len(spans) != 1 {
				t.Fatalf("%s: %+v, %v", delay, spans, err)
			}
			if have := from.Sub(spans[0].from); have != want {
				t.Errorf("camera.delay %s: a lead of %s, want %s", delay, have, want)
			}
		}
	})
}
