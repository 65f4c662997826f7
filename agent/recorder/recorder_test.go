package recorder

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
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
func (o *observed) last() (error, uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.fault, o.counters["dropped"]
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
		if err, dropped := o.last(); err != nil || dropped > 0 {
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
		_, end := scan(bytes.NewReader(data), e.Size, true)
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
			rec := New(settings(disk, &observed{}))
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- rec.Run(ctx) }()
			f := &furnace{r: r, state: "normal"}
			recorded := 0
			for !disk.PowerOff && time.Since(began) < 30*time.Minute {
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
			// A flush runs each five seconds; what arrives until the disk has it may go too.
			if missing > 2*6 {
				t.Errorf("cut %d after %d s: %d samples lost, want those of 5 s at most", k, recorded, missing)
			}
		})
	}
	t.Logf("%d power cuts, at most %d samples (%d s) lost", cuts, lost, lost/2)
}

// The ring keeps its bounds, and what is around an alarm outlasts ordinary hours.
func TestRingKeepsItsBoundsAndAlarms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := crashfs.New(-1)
		s := settings(disk, &observed{})
		s.MaxBytes = 8 << 20
		began := time.Now()
		recordFor(t, s, 1800, "normal")
		recordFor(t, s, 60, "abnormal")
		alarm := time.Now()
		for range 10 {
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

// refusing is a disk with a fault while it is set.
type refusing struct {
	durable.Files
	mu    sync.Mutex
	fault error
	hang  chan struct{}
}

func (d *refusing) set(err error, hang chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault, d.hang = err, hang
}

func (d *refusing) check() error {
	d.mu.Lock()
	fault, hang := d.fault, d.hang
	d.mu.Unlock()
	if hang != nil {
		<-hang
	}
	return fault
}

func (d *refusing) Create(name string) (durable.File, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	f, err := d.Files.Create(name)
	return &refusingFile{f, d}, err
}

type refusingFile struct {
	durable.File
	disk *refusing
}

func (f *refusingFile) Write(data []byte) (int, error) {
	if err := f.disk.check(); err != nil {
		n, _ := f.File.Write(data[:len(data)/2]) // a disk that fills up takes a part
		return n, err
	}
	return f.File.Write(data)
}

// A full, read-only or hanging disk never holds the caller, is told, and recording goes on
// once the disk does.
func TestDiskThatRefusesOrHangs(t *testing.T) {
	for name, fault := range map[string]error{"full": syscall.ENOSPC, "read-only": syscall.EROFS, "defective": syscall.EIO, "hanging": nil} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inner := crashfs.New(-1)
				disk := &refusing{Files: inner}
				o := &observed{}
				running(t, settings(disk, o), func(r *Recorder) {
					f := &furnace{r: rand.New(rand.NewPCG(1, 2)), state: "normal"}
					feed := func(seconds int) {
						for range seconds {
							began := time.Now()
							f.second(r)
							if took := time.Since(began); took > 0 {
								t.Errorf("the watch waited %s", took)
							}
							time.Sleep(time.Second)
						}
					}
					feed(60)
					var hang chan struct{}
					if fault == nil {
						hang = make(chan struct{})
					}
					disk.set(fault, hang)
					feed(600)
					if err, dropped := o.last(); err == nil || dropped == 0 || !strings.Contains(err.Error(), "recorder.folder") {
						t.Errorf("status %v, %d dropped", err, dropped)
					}
					if waiting := len(r.queue); waiting > maxWaiting {
						t.Errorf("%d records wait", waiting)
					}
					disk.set(nil, nil)
					if hang != nil {
						close(hang)
					}
					feed(120)
					if err, _ := o.last(); err != nil {
						t.Errorf("status after the fault: %v", err)
					}
				})
				if _, err := openRing(settings(inner, o)); err != nil {
					t.Fatal(err)
				}
				if samples := checkIntact(t, inner); samples < 2*(60+100)-20 {
					t.Errorf("%d samples, want those before and after the fault", samples)
				}
			})
		})
	}
}

// A disk that others fill makes the ring shrink, but never costs what is kept.
func TestRingMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := crashfs.New(-1)
		o := &observed{}
		s := settings(disk, o)
		recordFor(t, s, 1800, "normal")
		recordFor(t, s, 60, "abnormal")
		s.MinFree = 1 << 20
		s.Free = func() (int64, error) { return s.MinFree - 1, nil }
		r := New(s)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- r.Run(ctx) }()
		time.Sleep(20 * time.Second)
		if err, _ := o.last(); err == nil || !strings.Contains(err.Error(), "recorder.min_free_mb") {
			t.Errorf("status %v", err)
		}
		cancel()
		<-ended
		ring, err := openRing(s)
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range ring.segments {
			if one.Keep == "" {
				t.Errorf("%s is not removed", one.Name)
			}
		}
		if len(ring.segments) < 2 {
			t.Errorf("%d kept segments", len(ring.segments))
		}
	})
}

// A clock that is set keeps recording, in segments of ten minutes.
func TestClockThatIsSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := crashfs.New(-1)
		s := settings(disk, &observed{})
		var off time.Duration
		s.Synced = func() bool { return false }
		s.Wall = func(t time.Time) time.Time { return t.Add(off).UTC().Round(0) }
		for _, jump := range []time.Duration{0, -20 * 365 * 24 * time.Hour, 20 * 365 * 24 * time.Hour, -time.Hour} {
			off = jump
			recordFor(t, s, 1500, "normal")
		}
		if samples := checkIntact(t, disk); samples != 4*3000 {
			t.Errorf("%d samples", samples)
		}
	})
}

func FuzzScan(f *testing.F) {
	var good bytes.Buffer
	at := time.Date(2026, 11, 28, 13, 40, 0, 0, time.UTC)
	for _, kind := range []Kind{Current, State, Crop} {
		if err := appendEntry(&good, kind, at, bytes.Repeat([]byte(kind), 300)); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(good.Bytes())
	f.Add(append(good.Bytes(), trailer...))
	f.Add(good.Bytes()[:1000])
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, end := scan(bytes.NewReader(data), int64(len(data)), true)
		if end < 0 || end > int64(len(data)) {
			t.Fatalf("end %d of %d", end, len(data))
		}
		for _, e := range entries {
			if e.Offset < 0 || e.Size < 0 || e.Offset+e.Size > int64(len(data)) {
				t.Fatalf("entry %+v of %d bytes", e, len(data))
			}
		}
		summarize("20261128T134000Z", bytes.NewReader(data), int64(len(data)), false)
		// What is intact stays so when the rest is cut off.
		again, endAgain := scan(io.NewSectionReader(bytes.NewReader(data), 0, end), end, true)
		if len(again) != len(entries) || endAgain != end {
			t.Fatalf("%d entries to %d, then %d to %d", len(entries), end, len(again), endAgain)
		}
	})
}

func FuzzSamples(f *testing.F) {
	var text bytes.Buffer
	appendSample(&text, drivers.Sample{Time: time.Unix(1, 0), Current: [3]float64{1, 2, 3}})
	appendSample(&text, drivers.Sample{Time: time.Unix(2, 0), Missing: "phase A, \"x\"\n"})
	f.Add(text.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		samples, _ := parseSamples(data)
		for _, s := range samples {
			for _, a := range s.Current {
				if a-a != 0 {
					t.Fatalf("%v is not finite", a)
				}
			}
		}
	})
}

func TestLabelsSurviveAPowerCut(t *testing.T) {
	from := time.Date(2026, 11, 28, 13, 0, 0, 0, time.UTC)
	for cut := range 40 {
		for seed := range uint64(10) {
			disk := crashfs.New(-1)
			j := OpenLabels(disk)
			first, err := j.Put(Label{From: from, To: from.Add(time.Minute), Class: ClassAbnormal, By: "engineer"})
			if err != nil {
				t.Fatal(err)
			}
			disk.CutIn(cut)
			changed := first[0]
			changed.Class = ClassNormal
			_, err = j.Put(changed, Label{From: from, To: from.Add(time.Hour), Class: ClassDoubtful})
			after := OpenLabels(disk.After(rand.New(rand.NewPCG(seed, 1)), 0.5))
			all, readErr := after.All()
			if readErr != nil || len(all) < 1 || len(all) > 2 || err == nil && (len(all) != 2 || all[0].Class == ClassAbnormal || all[1].Class == ClassAbnormal) {
				t.Fatalf("cut at %d: %+v, %v, %v", cut, all, readErr, err)
			}
			if _, err := after.Put(Label{ID: first[0].ID, Removed: true}); err != nil {
				t.Fatal(err)
			}
			left, err := after.All()
			if err != nil || len(left) != len(all)-1 {
				t.Fatalf("after a removal: %+v, %v", left, err)
			}
		}
	}
}

func TestInvalidLabelsAreRefused(t *testing.T) {
	from := time.Date(2026, 11, 28, 13, 0, 0, 0, time.UTC)
	good := Label{From: from, To: from.Add(time.Minute), Class: ClassAbnormal}
	for want, change := range map[string]func(*Label){
		"class":  func(l *Label) { l.Class = "odd" },
		"from":   func(l *Label) { l.To = l.From },
		"to":     func(l *Label) { l.To = l.From.Add(25 * time.Hour) },
		"onset":  func(l *Label) { l.Onset = l.From.Add(-time.Second) },
		"onset:": func(l *Label) { l.Class, l.Onset = ClassNormal, l.From },
		"note":   func(l *Label) { l.Note = strings.Repeat("x", 501) },
		"note:":  func(l *Label) { l.Note = "two\nlines" },
		"by":     func(l *Label) { l.By = "\x1b[31m" },
		"id":     func(l *Label) { l.ID = strings.Repeat("x", 65) },
		"alarm":  func(l *Label) { l.Alarm = "\xff" },
	} {
		l := good
		change(&l)
		if _, err := OpenLabels(crashfs.New(-1)).Put(l); err == nil || !strings.HasPrefix(err.Error(), strings.TrimSuffix(want, ":")+":") {
			t.Errorf("%s: %v", want, err)
		}
	}
	if _, err := OpenLabels(crashfs.New(-1)).Put(good); err != nil {
		t.Error(err)
	}
}

func ExampleLibrary() {
	segments, err := OpenLibrary("/nonexistent").Segments()
	fmt.Println(len(segments), err)
	// Output: 0 <nil>
}
