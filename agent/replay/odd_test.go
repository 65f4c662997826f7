package replay

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"meltwatch/agent/message"
	"meltwatch/agent/recorder"
	"meltwatch/drivers"
	"meltwatch/durable"
)

// recordPictures records some minutes with pictures of a size that changes in the middle.
func recordPictures(t *testing.T, folder string, off time.Duration, minutes int, before, after int) {
	t.Helper()
	r := recorder.New(recorder.Settings{
		Files: durable.Folder(folder), MaxBytes: 1 << 30, MaxAge: 24 * time.Hour, Synced: func() bool { return false },
		Wall: func(t time.Time) time.Time { return t.Add(off).UTC().Round(0) }, Log: slog.New(slog.DiscardHandler), Observer: nothing{},
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	random := rand.New(rand.NewPCG(1, 2))
	for n := range 60 * minutes {
		size := before
		if n >= 30*minutes {
			size = after
		}
		pixels := make([]byte, 3*size*size)
		for i := range pixels {
			pixels[i] = byte(random.IntN(256))
		}
		now := time.Now()
		r.Sample(drivers.Sample{Time: now, Current: [3]float64{15000, 15000, 15000}, SetPoint: 15000})
		r.Second(recorder.Second{Decided: now, State: message.State{Stamp: message.Stamp{Time: now.Add(off).UTC().Round(0)}, State: "normal", Senses: message.Senses{Current: "ok", Video: "ok"}},
			Frame: drivers.Frame{Time: now.Add(-100 * time.Millisecond), Number: uint64(n + 1), Stream: 1, Width: size, Height: size, Pixels: pixels}})
		time.Sleep(time.Second)
	}
	cancel()
	<-done
}

// Decades without a recording take no time, as between a clock that starts in 1970 and the
// right one; no second is lost at the borders.
func TestReplaySkipsWhatIsNotRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder := t.TempDir()
		recordPictures(t, folder, -30*365*24*time.Hour, 11, side, side)
		recordPictures(t, folder, 0, 12, side, side)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		result, err := Run(ctx, recorder.OpenLibrary(folder), decider(), time.Unix(0, 0).AddDate(-1900, 0, 0), time.Unix(0, 0).AddDate(7000, 0, 0), func(Second) {})
		if err != nil || result.Seconds != 23*60 || result.Missing > 0 {
			t.Errorf("%+v, %v", result, err)
		}
	})
}

// Damaged and missing pictures cost themselves only, in a replay and in an export.
func TestDamagedPicturesCostThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder, out := t.TempDir(), filepath.Join(t.TempDir(), "data")
		began := time.Now()
		recordPictures(t, folder, 0, 5, side, side)
		l := recorder.OpenLibrary(folder)
		crops, err := l.Entries(began, time.Now(), recorder.Crop)
		if err != nil || len(crops) < 250 {
			t.Fatal(len(crops), err)
		}
		file, err := os.OpenFile(filepath.Join(folder, crops[0].Segment+".tar"), os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		for n, e := range []recorder.Entry{crops[0], crops[100], crops[101]} { // in the header, and in the pixels
			if _, err := file.WriteAt([]byte("damage"), e.Offset+[]int64{0, 100, 2000}[n]); err != nil {
				t.Fatal(err)
			}
		}
		file.Close()
		result, err := Run(t.Context(), l, decider(), began, time.Now(), func(Second) {})
		if err != nil || result.Seconds != 300 || result.Missing != 3 {
			t.Errorf("%+v, %v", result, err)
		}
		done, err := recorder.Export(l, nil, began, time.Now(), out, true)
		if err != nil || len(done) != 1 || done[0].Frames != len(crops)-3 {
			t.Fatalf("%+v, %v", done, err)
		}
		times, err := os.ReadFile(filepath.Join(out, "timestamps", done[0].Name+".csv"))
		video, videoErr := os.Stat(filepath.Join(out, "videos", done[0].Name+".npy"))
		if err != nil || videoErr != nil || strings.Count(string(times), "\n") != 1+done[0].Frames || video.Size() != int64(128+done[0].Frames*3*side*side) {
			t.Errorf("times or video do not match %d pictures: %v, %v", done[0].Frames, err, videoErr)
		}
	})
}

// A crop that is changed cuts the stretch, and an export that fails leaves nothing behind.
func TestExportOfOddStretches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder, out := t.TempDir(), filepath.Join(t.TempDir(), "data")
		began := time.Now()
		recordPictures(t, folder, 0, 6, side, side/2)
		l := recorder.OpenLibrary(folder)
		for what, to := range map[string]time.Time{"empty": began.Add(-time.Hour), "short": began.Add(100 * time.Second)} {
			if _, err := recorder.Export(l, nil, began.Add(-2*time.Hour), to, out, false); err == nil {
				t.Errorf("%s: exported", what)
			}
			if _, err := os.Stat(out); err == nil {
				t.Errorf("%s: a folder is left", what)
			}
		}
		done, err := recorder.Export(l, nil, began.Add(-time.Second), time.Now(), out, false)
		if err != nil || len(done) != 2 || done[0].Frames != 180 || done[1].Frames != 180 {
			t.Errorf("%+v, %v", done, err)
		}
		if err := os.Symlink(out, out+"-link"); err != nil {
			t.Fatal(err)
		}
		for _, there := range []string{out, out + "-link"} {
			if _, err := recorder.Export(l, nil, began, time.Now(), there, false); err == nil {
				t.Errorf("%s was written over", there)
			}
			if files, err := os.ReadDir(there); err != nil || len(files) != 6 {
				t.Errorf("%s has %d files, %v: an existing folder was touched", there, len(files), err)
			}
		}
	})
}
