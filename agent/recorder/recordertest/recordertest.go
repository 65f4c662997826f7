// Package recordertest records simulated furnaces, for tests of what reads recordings. It
// runs within testing/synctest: an hour takes seconds.
package recordertest

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"meltwatch/agent/message"
	"meltwatch/agent/recorder"
	"meltwatch/drivers"
	"meltwatch/durable"
	"meltwatch/simulator/furnace"
	"meltwatch/simulator/scene"
)

// pause lies between two melts: longer than any gap within a stretch.
const pause = time.Minute

// Record records melts into a folder, one after the other, and labels their seconds with the
// simulator's truth, as a person would. Labels are in the journal and returned.
func Record(t testing.TB, folder string, melts ...furnace.Scenario) []recorder.Label {
	t.Helper()
	r := recorder.New(recorder.Settings{
		Files: durable.Folder(folder), MaxBytes: 1 << 30, MaxAge: 30 * 24 * time.Hour, Synced: func() bool { return true },
		Wall: func(t time.Time) time.Time { return t.UTC().Round(0) }, Log: slog.New(slog.DiscardHandler), Observer: nothing{},
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	var labels []recorder.Label
	for n, melt := range melts {
		labels = append(labels, record(r, melt, uint64(n+1))...)
		time.Sleep(pause)
	}
	cancel()
	<-ended //nolint:errcheck // it ended on request
	kept, err := recorder.OpenLabels(durable.Folder(folder)).Put(labels...)
	if err != nil {
		t.Fatal(err)
	}
	return kept
}

// record records a melt.
func record(r *recorder.Recorder, melt furnace.Scenario, seed uint64) (labels []recorder.Label) {
	f := furnace.New(melt, furnace.NewBatch(melt.Seed+seed, seed), seed, melt.Seed+seed)
	picture, began := scene.New(f.Batch()), time.Now()
	for n := range int(melt.Seconds()) {
		var now furnace.State
		for k := range 2 {
			now = f.AdvanceTo(float64(n) + float64(k)/2)
			s := drivers.Sample{Time: time.Now(), SetPoint: float64(now.PLC.SetPoint)}
			for phase, amperes := range now.PLC.Current {
				s.Current[phase] = float64(amperes)
			}
			r.Sample(s)
			time.Sleep(500 * time.Millisecond)
		}
		labels = label(labels, now.Truth, began, time.Now())
		pixels := make([]byte, 3*scene.Side*scene.Side)
		picture.Crop(now, pixels, nil)
		decided := message.State{Stamp: message.Stamp{Time: time.Now().UTC().Round(0)}, State: "normal", Source: "model", Senses: message.Senses{Current: "ok", Video: "ok"}}
		r.Second(recorder.Second{Decided: time.Now(), State: decided,
			Frame: drivers.Frame{Time: time.Now().Add(-200 * time.Millisecond), Number: uint64(n + 1), Stream: seed, Width: scene.Side, Height: scene.Side, Pixels: pixels}})
	}
	return labels
}

// label extends the last label by a second, or begins another one. Seconds of which the
// truth does not say anything have none.
func label(labels []recorder.Label, k furnace.Truth, began, at time.Time) []recorder.Label {
	const second = time.Second
	one := recorder.Label{Class: recorder.ClassNormal, From: at.Add(-second), To: at, By: "simulator", At: at}
	switch k.Label {
	case furnace.BurningOver:
		one.Class = recorder.ClassAbnormal
		if onset := began.Add(time.Duration(k.Onset * float64(second))); k.Episode > 0 && onset.Before(one.From) {
			one.From, one.Onset = onset, onset
		}
	case furnace.SoundShell:
	default:
		return labels
	}
	if n := len(labels); n > 0 && labels[n-1].Class == one.Class && !labels[n-1].To.Before(at.Add(-second)) {
		labels[n-1].To = at
		return labels
	}
	return append(labels, one)
}

type nothing struct{}

func (nothing) Beat()                   {}
func (nothing) OK()                     {}
func (nothing) Fault(error)             {}
func (nothing) Count(map[string]uint64) {}
