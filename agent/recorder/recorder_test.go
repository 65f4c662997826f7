package recorder

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"meltwatch/agent/message"
	"meltwatch/drivers"
	"meltwatch/durable"
	"meltwatch/durable/crashfs"
)

// observed is the last status that a recorder reported.
type observed struct {
	mu       sync.Mutex
	fault    error
	counters map[string]uint64
}

func (*observed) Beat() {}
func (o *observed) OK() { o.set(nil) }
func (o *observed) Fault(err error) {
	o.set(err)
}
func (o *observed) set(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fault = err
}
func (o *observed) Count(c map[string]uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.counters = c
}
func (o *observed) last() (dropped uint64, fault error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.counters["dropped"], o.fault
}

func settings(files durable.Files, o *observed) Settings {
	return Settings{
		Files: files, MaxBytes: 1 << 30, MaxAge: 24 * time.Hour, Wall: func(t time.Time) time.Time { return t.UTC().Round(0) },
		Log: slog.New(slog.DiscardHandler), Observer: o,
	}
}

// furnace feeds a recorder, a second at a time: two samples, a decision, pictures.
type furnace struct {
	r     *rand.Rand
	n     uint64
	state string
}

func (f *furnace) second(to *Recorder) {
	now := time.Now()
	f.n++
	for k := range 2 {
		to.Sample(drivers.Sample{
			Time: now.Add(time.Duration(k) * 500 * time.Millisecond), Uncertainty: 1500 * time.Microsecond,
			Current: [3]float64{15000.5, float64(f.n), -0.25}, SetPoint: 15000, Bits: drivers.Feeding,
		})
	}
	pixels := make([]byte, 3*8*8)
	for i := range pixels {
		pixels[i] = byte(f.r.IntN(256))
	}
	to.Second(Second{
		Decided: now.Add(900 * time.Millisecond), State: message.State{State: f.state, PMean: 0.25},
		Frame: drivers.Frame{Time: now.Add(100 * time.Millisecond), Number: f.n, Stream: 1, Width: 8, Height: 8, Pixels: pixels},
	})
	to.View(now.Add(300*time.Millisecond), []byte("a picture of no format"))
}

// recordFor records some seconds of a furnace in a state, and ends the recorder.
func recordFor(t *testing.T, s Settings, seconds int, state string) {
	t.Helper()
	f := &furnace{r: rand.New(rand.NewPCG(1, 2)), state: state}
	running(t, s, func(r *Recorder) {
		for range seconds {
			f.second(r)
			time.Sleep(time.Second)
		}
	})
}

func running(t *testing.T, s Settings, use func(*Recorder)) {
	t.Helper()
	r := New(s)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	use(r)
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Run: %v", err)
	}
}

func TestRecordedIsReadAsItWas(t *testing.T) {
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		o := &observed{}
		began := time.Now()
		running(t, settings(durable.Folder(folder), o), func(r *Recorder) {
			f := &furnace{r: rand.New(rand.NewPCG(1, 2)), state: "normal"}
			for n := range 1500 { // two segments and a half
				if n == 700 {
					r.Sample(drivers.Sample{Time: time.Now().Add(-time.Millisecond), Missing: "phase A: 0x8000 means not available"})
					r.Event(message.Event{Stamp: message.Stamp{Time: time.Now().UTC().Round(0)}, Kind: "mark", Cause: "tap, \"early\"\n"})
				}
				f.second(r)
				time.Sleep(time.Second)
			}
		})
		if dropped, err := o.last(); err != nil || dropped > 0 {
			t.Errorf("status %v, %d dropped", err, dropped)
		}
		l := OpenLibrary(folder)
		segments, err := l.Segments()
		if err != nil || len(segments) != 3 {
			t.Fatalf("%d segments, %v", len(segments), err)
		}
		if s := segments[1]; s.Keep != "mark" || len(s.Marks) != 1 || s.To.Sub(s.From) > 10*time.Minute+flushEvery {
			t.Errorf("segment with the mark: %+v", s)
		}
		samples, err := l.Samples(began, began.Add(time.Hour))
		if err != nil || len(samples) != 3001 {
			t.Fatalf("%d samples, %v", len(samples), err)
		}
		want := drivers.Sample{Time: began.Add(10 * time.Second).UTC().Round(0), Uncertainty: 1500 * time.Microsecond,
			Current: [3]float64{15000.5, 11, -0.25}, SetPoint: 15000, Bits: drivers.Feeding}
		if samples[20] != want {
			t.Errorf("sample %+v, want %+v", samples[20], want)
		}
		if i := slices.IndexFunc(samples, func(s drivers.Sample) bool { return s.Missing != "" }); i != 1400 {
			t.Errorf("the missing sample is at %d", i)
		}
		states, err := l.States(began.Add(600*time.Second), began.Add(660*time.Second))
		if err != nil || len(states) != 60 || states[0].State.State != "normal" || states[0].FrameTime == nil {
			t.Errorf("%d states, %v", len(states), err)
		}
		events, err := l.Events(began, began.Add(time.Hour))
		if err != nil || len(events) != 1 || events[0].Cause != "tap, \"early\"\n" {
			t.Errorf("events %+v, %v", events, err)
		}
		entry, data, err := l.Picture(Crop, began.Add(1200*time.Second))
		if err != nil || !bytes.HasPrefix(data, []byte("\x89PNG")) || entry.Time.Sub(began) != 1200*time.Second+100*time.Millisecond {
			t.Errorf("picture %+v of %d bytes, %v", entry, len(data), err)
		}
		if m := segments[0].Minutes; len(m) < 10 || m[3].Samples != 120 || m[3].P != 0.25 {
			t.Errorf("minutes %+v", m)
		}
	})
	// Debian's tar is the judge of the format.
	if _, err := exec.LookPath("tar"); err != nil {
		t.Skip("SKIPPED, no tar to read the segments with")
	}
	names, _ := filepath.Glob(filepath.Join(folder, "*.tar"))
	for _, name := range names {
		listed, err := exec.CommandContext(t.Context(), "tar", "tf", name).CombinedOutput()
		if err != nil || !strings.Contains(string(listed), "current/") || !strings.Contains(string(listed), "crop/") {
			t.Errorf("tar tf %s: %v: %.300s", name, err, listed)
		}
	}
}

// Every segment on a disk must be whole after a recovery.
func checkIntact(t *testing.T, disk *crashfs.Disk) (samples int) {
	t.Helper()
	entries, err := disk.List(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name, ".tar")
		if !ok {
			continue
		}
		data, err := disk.Read(e.Name, e.Size)
		if err != nil {
			t.Fatal(err)
		}
		_, end := scan(bytes.NewReader(data), 0, e.Size, true)
		if end+int64(len(trailer)) != e.Size || !bytes.Equal(data[end:], trailer) {
			t.Errorf("%s: intact to %d of %d bytes", e.Name, end, e.Size)
		}
		summary, ok := readSummary(disk, name)
		if !ok || summary.Bytes != e.Size {
			t.Errorf("%s: summary %+v", e.Name, summary)
		}
		samples += summary.Samples
	}
	return samples
}

// A power cut at any operation loses the last seconds at most, and the next start finds
// whole segments.
func TestPowerCutsLoseTheLastSecondsOnly(t *testing.T) {
	cuts := 20
	if testing.Short() {
		cuts = 3
	}
	if os.Getenv("MELTWATCH_KILLS") != "" {
		cuts = 200
	}
	lost := 0
	for k := range cuts {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(uint64(k), 9))
			disk := crashfs.New(-1)
			disk.CutIn(r.IntN(350))
			began := time.Now()
			o := &observed{}
			rec := New(settings(disk, o))
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- rec.Run(ctx) }()
			f := &furnace{r: rand.New(rand.NewPCG(uint64(k), 8)), state: "normal"}
			recorded := 0
			for time.Since(began) < 30*time.Minute {
				if _, fault := o.last(); fault != nil {
					break // the power is off
				}
				f.second(rec)
				recorded++
				time.Sleep(time.Second)
			}
			cancel()
			<-ended
			next := disk.After(r, 0.5)
			if _, err := openRing(settings(next, &observed{})); err != nil {
				t.Fatalf("cut %d: %v", k, err)
			}
			missing := 2*recorded - checkIntact(t, next)
			lost = max(lost, missing)
			// A flush runs each four seconds; what arrives until the disk has it may go too.
			if missing > 2*5 {
				t.Errorf("cut %d after %d s: %d samples lost, want those of 5 s at most", k, recorded, missing)
			}
		})
	}
	t.Logf("%d power cuts, at most %d samples (%d s) lost", cuts, lost, lost/2)
}

// The ring keeps its bounds, and what is around an alarm outlasts ordinary hours.
func TestRingKeepsItsBoundsAndAlarms(t *testing.T) {
	if testing.Short() {
		t.Skip("hours of recording: left out by -short")
	}
	synctest.Test(t, func(t *testing.T) {
		disk := crashfs.New(-1)
		s := settings(disk, &observed{})
		s.MaxBytes = 8 << 20
		began := time.Now()
		recordFor(t, s, 1800, "normal")
		recordFor(t, s, 60, "abnormal")
		alarm := time.Now()
		for range 6 {
			recordFor(t, s, 1800, "normal")
		}
		if size := disk.Size(); size > s.MaxBytes+4<<20 {
			t.Errorf("%d bytes on the disk", size)
		}
		ring, err := openRing(s)
		if err != nil {
			t.Fatal(err)
		}
		var total int64
		var around, ordinary int
		for _, one := range ring.segments {
			total += one.Bytes
			switch {
			case one.From.Before(alarm.Add(9*time.Minute)) && one.To.After(alarm.Add(-10*time.Minute)):
				around++
			case one.Keep == "" && one.From.Before(began.Add(time.Hour)):
				ordinary++
			}
		}
		if total > s.MaxBytes || around < 3 || ordinary > 0 {
			t.Errorf("%d bytes; %d segments around the alarm, %d ordinary ones of the first hour", total, around, ordinary)
		}
		checkIntact(t, disk)
	})
}

func TestRingKeepsItsAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := crashfs.New(-1)
		s := settings(disk, &observed{})
		s.MaxAge = 2 * time.Hour
		recordFor(t, s, 600, "normal")
		time.Sleep(3 * time.Hour)
		recordFor(t, s, 1300, "normal")
		ring, err := openRing(s)
		if err != nil || len(ring.segments) != 3 {
			t.Errorf("%d segments, %v", len(ring.segments), err)
		}
	})
}
