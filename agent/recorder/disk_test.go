package recorder

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"meltwatch/drivers"
	"meltwatch/durable"
	"meltwatch/durable/crashfs"
)

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
					if dropped, err := o.last(); err == nil || dropped == 0 || !strings.Contains(err.Error(), "paths.recordings") {
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
					if _, err := o.last(); err != nil {
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
		if _, err := o.last(); err == nil || !strings.Contains(err.Error(), "recorder.min_free_mb") {
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
		entries, end := scan(bytes.NewReader(data), 0, int64(len(data)), true)
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
		again, endAgain := scan(io.NewSectionReader(bytes.NewReader(data), 0, end), 0, end, true)
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
		"id:":    func(l *Label) { l.ID, l.Removed = strings.Repeat("x", 100_000), true },
		"note::": func(l *Label) { l.ID, l.Removed, l.Note = "x", true, "\x1b" },
		"class:": func(l *Label) { l.ID, l.Removed, l.Class = "x", true, Class(strings.Repeat("x", 1000)) },
		"from:":  func(l *Label) { l.From, l.To = l.From.AddDate(10_000, 0, 0), l.To.AddDate(10_000, 0, 0) },
	} {
		l := good
		change(&l)
		if _, err := OpenLabels(crashfs.New(-1)).Put(l); err == nil || !strings.HasPrefix(err.Error(), strings.TrimRight(want, ":")+":") {
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

// A recorder whose disk hangs ends in time all the same. The next one of the program says
// that the disk does not answer, holds nobody, and goes on once it does.
func TestRecorderEndsWhileItsDiskHangs(t *testing.T) {
	for _, fromStart := range []bool{false, true} {
		t.Run(fmt.Sprintf("from its start %t", fromStart), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inner, hang, turn := crashfs.New(-1), make(chan struct{}), make(chan struct{}, 1)
				disk := &refusing{Files: inner}
				if fromStart {
					disk.set(nil, hang)
				}
				f := &furnace{r: rand.New(rand.NewPCG(1, 2)), state: "normal"}
				feed := func(r *Recorder, seconds int) {
					for range seconds {
						f.second(r)
						time.Sleep(time.Second)
					}
				}
				start := func() (r *Recorder, o *observed, stop func() time.Duration) {
					o = &observed{}
					s := settings(disk, o)
					s.Turn = turn
					r = New(s)
					ctx, cancel := context.WithCancel(t.Context())
					ended := make(chan error, 1)
					go func() { ended <- r.Run(ctx) }()
					return r, o, func() time.Duration {
						began := time.Now()
						cancel()
						<-ended
						return time.Since(began)
					}
				}
				first, o, stop := start()
				feed(first, 60)
				disk.set(nil, hang)
				feed(first, 60)
				if took := stop(); took > closing {
					t.Errorf("it ended after %s", took)
				}
				if _, err := o.last(); !errors.Is(err, errHanging) {
					t.Errorf("it says %v", err)
				}
				// Two that are replaced meanwhile use no disk at all.
				for range 2 {
					next, o, stop := start()
					feed(next, 30)
					if _, err := o.last(); !errors.Is(err, errHanging) || len(next.queue) > 0 {
						t.Errorf("the next says %v, %d wait", err, len(next.queue))
					}
					if took := stop(); took > 0 {
						t.Errorf("the next ended after %s", took)
					}
				}
				last, o, stop := start()
				feed(last, 10)
				disk.set(nil, nil)
				close(hang)
				feed(last, 120)
				if _, err := o.last(); err != nil {
					t.Errorf("once the disk answers: %v", err)
				}
				stop()
				if samples := checkIntact(t, inner); samples < 2*110 || !fromStart && samples < 2*(60+110) {
					t.Errorf("%d samples, want those before and after", samples)
				}
			})
		})
	}
}
