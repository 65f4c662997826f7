package recorder

import (
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"meltwatch/agent/message"
	"meltwatch/drivers"
	"meltwatch/durable"
	"meltwatch/durable/crashfs"
)

// A library that follows a growing segment says at each instant what a fresh one says.
func TestLibraryFollowsAGrowingSegment(t *testing.T) {
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := settings(durable.Folder(folder), &observed{})
		l, began := OpenLibrary(folder), time.Now()
		running(t, s, func(r *Recorder) {
			f := &furnace{r: rand.New(rand.NewPCG(1, 2)), state: "normal"}
			for n := range 700 {
				if f.state = "normal"; n/100%2 == 1 {
					f.state = "abnormal"
				}
				f.second(r)
				time.Sleep(time.Second)
				if n%61 != 0 {
					continue
				}
				synctest.Wait() // for the recorder
				fresh := OpenLibrary(folder)
				have, err := l.Segments()
				want, wantErr := fresh.Segments()
				if err != nil || wantErr != nil || !slices.EqualFunc(have, want, func(a, b Summary) bool {
					return a.Name == b.Name && a.Bytes == b.Bytes && a.Samples == b.Samples && a.To.Equal(b.To) && a.Pictures == b.Pictures &&
						len(a.States) == len(b.States) && a.Keep == b.Keep && slices.Equal(a.Minutes, b.Minutes)
				}) {
					t.Fatalf("after %d s: %+v, %v\nfresh: %+v, %v", n, have, err, want, wantErr)
				}
				a, err := l.Entries(began, time.Now(), Crop, State)
				b, wantErr := fresh.Entries(began, time.Now(), Crop, State)
				if err != nil || wantErr != nil || !slices.Equal(a, b) {
					t.Fatalf("after %d s: %d entries, %v; fresh %d, %v", n, len(a), err, len(b), wantErr)
				}
			}
		})
	})
}

// BenchmarkLibrary is what a page costs that asks each second, over a ring of a week.
func BenchmarkLibrary(b *testing.B) {
	folder := b.TempDir()
	writeRing(b, folder, 1000)
	l := OpenLibrary(folder)
	if _, err := l.Segments(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if all, err := l.Segments(); err != nil || len(all) != 1001 {
			b.Fatal(len(all), err)
		}
	}
}

// writeRing writes old segments, and a long one that is open.
func writeRing(b *testing.B, folder string, count int) {
	b.Helper()
	disk := crashfs.New(-1)
	began := time.Now()
	w, err := openWriter(settings(disk, &observed{}))
	if err != nil {
		b.Fatal(err)
	}
	at := began.Add(-10 * time.Minute)
	for n := range 600 {
		now := at.Add(time.Duration(n) * time.Second)
		w.sample(drivers.Sample{Time: now, Current: [3]float64{1, 2, 3}})
		w.second(Second{Decided: now, State: message.State{State: "normal"}})
		w.picture(Crop, now, make([]byte, 6000))
		w.picture(View, now, make([]byte, 6000))
	}
	if err := w.flush(); err != nil {
		b.Fatal(err)
	}
	files := disk.Snapshot()
	names := slices.Sorted(maps.Keys(files))
	if len(names) == 0 {
		b.Fatal("nothing written")
	}
	open := files[names[len(names)-1]]
	if err := os.WriteFile(filepath.Join(folder, names[len(names)-1]), open, 0o600); err != nil {
		b.Fatal(err)
	}
	for n := range count {
		old := began.Add(-time.Duration(n+3) * 10 * time.Minute)
		s := Summary{Name: old.UTC().Format(segmentTime), From: old, To: old.Add(10 * time.Minute), Bytes: 1 << 20, Minutes: make([]Minute, 10), States: make([]Change, 3)}
		if err := os.WriteFile(filepath.Join(folder, s.Name+".tar"), nil, 0o600); err != nil {
			b.Fatal(err)
		}
		if err := errors.Join(os.Truncate(filepath.Join(folder, s.Name+".tar"), s.Bytes), os.Chtimes(filepath.Join(folder, s.Name+".tar"), old, old), writeSummary(durable.Folder(folder), s)); err != nil {
			b.Fatal(err)
		}
	}
}

// A segment in which a sense was lost and then an alarm was raised is told as the alarm's.
func TestAnAlarmIsTheReasonThatASegmentIsKept(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	lost := message.Event{Stamp: message.Stamp{Time: at}, Kind: "sense", Subject: "video", From: "ok", To: "stale"}
	var d digest
	if !d.event(lost, 100) || d.Keep != "sense video" {
		t.Errorf("after a lost sense: %q", d.Keep)
	}
	if !d.second(at.Add(time.Second), message.State{State: "abnormal"}) || d.Keep != "alarm" {
		t.Errorf("after an alarm: %q", d.Keep)
	}
	if d.second(at.Add(2*time.Second), message.State{State: "abnormal"}) || d.event(lost, 100) || d.Keep != "alarm" {
		t.Errorf("later: %q", d.Keep)
	}
}
