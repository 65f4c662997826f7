package recorder

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"meltwatch/agent/message"
	"meltwatch/drivers"
	"meltwatch/durable"
	"meltwatch/durable/crashfs"
)

// What is not a segment is neither read, changed, counted nor removed, whatever its name.
func TestForeignFilesAreLeftAlone(t *testing.T) {
	folder := t.TempDir()
	foreign := map[string]int64{
		"backup.tar": 3 << 20, "20260101.tar": 10, "20261399T000000Z.tar": 10, "20260101T000000Z-x.tar": 10, "20260101T000000Z-2-3.tar": 10,
		"20260101T000000Z.tar": 20 << 30, // sparse
		"\x1b[2J\n.tar":        10, "notes.json": 10, "20260102T000000Z.tar.new": 10,
	}
	for name, size := range foreign {
		if err := os.WriteFile(filepath.Join(folder, name), []byte("not ours"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(filepath.Join(folder, name), size); err != nil {
			t.Skipf("SKIPPED, no sparse files: %v", err)
		}
	}
	if err := errors.Join(os.Mkdir(filepath.Join(folder, "20260103T000000Z.tar"), 0o700),
		syscall.Mkfifo(filepath.Join(folder, "20260104T000000Z.tar"), 0o600),
		os.Symlink("/etc/passwd", filepath.Join(folder, "20260105T000000Z.tar"))); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		o := &observed{}
		s := settings(durable.Folder(folder), o)
		s.MaxBytes, s.MaxAge = 1<<20, time.Hour // far less than the foreign files have
		recordFor(t, s, 1300, "normal")
		if dropped, err := o.last(); dropped > 0 || err != nil {
			t.Errorf("status %v, %d dropped", err, dropped)
		}
	})
	for name, size := range foreign {
		info, err := os.Stat(filepath.Join(folder, name))
		if err != nil || info.Size() != size {
			t.Errorf("%q was touched: %v", name, err)
		}
	}
	segments, err := OpenLibrary(folder).Segments()
	if err != nil || len(segments) == 0 || len(segments) > 3 {
		t.Errorf("%d segments, %v", len(segments), err)
	}
	for _, one := range segments {
		if one.Samples == 0 {
			t.Errorf("segment %s is not ours", one.Name)
		}
	}
}

// defective cannot read one file.
type defective struct {
	durable.Files
	name string
}

func (d defective) Read(name string, most int64) ([]byte, error) {
	if strings.HasPrefix(name, d.name) {
		return nil, syscall.EIO
	}
	return d.Files.Read(name, most)
}

// A segment on a defective part of the disk costs itself only.
func TestOneDefectiveSegmentStopsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, o := crashfs.New(-1), &observed{}
		recordFor(t, settings(disk, o), 30, "normal")
		entries, err := disk.List(".")
		if err != nil {
			t.Fatal(err)
		}
		name, _, _ := strings.Cut(entries[0].Name, ".")
		s := settings(defective{disk, name}, o)
		recordFor(t, s, 60, "normal")
		if dropped, err := o.last(); err != nil || dropped > 0 {
			t.Errorf("status %v, %d dropped", err, dropped)
		}
		ring, err := openRing(settings(disk, o))
		if err != nil || len(ring.segments) != 2 || ring.segments[1].Samples != 120 {
			t.Errorf("segments %+v, %v", ring.segments, err)
		}
		s.MaxBytes = 1 // it counts, and goes as others do
		recordFor(t, s, 10, "normal")
		if disk.Has(name + ".tar") {
			t.Error("the defective segment stays for good")
		}
	})
}

// small is a disk that holds some bytes.
type small struct {
	*crashfs.Disk
	most atomic.Int64
}

func (d *small) Create(name string) (durable.File, error) {
	f, err := d.Disk.Create(name)
	return smallFile{f, d}, err
}

func (d *small) Extend(name string, size int64) (durable.File, error) {
	f, err := d.Disk.Extend(name, size)
	return smallFile{f, d}, err
}

type smallFile struct {
	durable.File
	disk *small
}

func (f smallFile) Write(data []byte) (int, error) {
	if f.disk.Size()+int64(len(data)) > f.disk.most.Load() {
		return 0, syscall.ENOSPC
	}
	return f.File.Write(data)
}

// A disk that others filled while the agent was away, after a power cut: the ring makes
// room, and leaves no empty files.
func TestStartOnAFullDiskMakesRoom(t *testing.T) {
	if testing.Short() {
		t.Skip("hours of recording: left out by -short")
	}
	synctest.Test(t, func(t *testing.T) {
		disk, o := &small{Disk: crashfs.New(-1)}, &observed{}
		disk.most.Store(1 << 40)
		s := settings(disk, o)
		recordFor(t, s, 3000, "normal")
		entries, err := disk.List(".")
		if err != nil {
			t.Fatal(err)
		}
		newest := strings.TrimSuffix(entries[len(entries)-1].Name, ".tar")
		data, err := disk.Read(newest+".tar", 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		if err := disk.Remove(newest + ".json"); err != nil {
			t.Fatal(err)
		}
		disk.Put(newest+".tar", data[:len(data)-3000])
		disk.most.Store(disk.Size())
		s.Free = func() (int64, error) { return max(disk.most.Load()-disk.Size(), 0) << 10, nil }
		recordFor(t, s, 600, "normal")
		if _, err := o.last(); err != nil {
			t.Errorf("status %v", err)
		}
		ring, err := openRing(s)
		if err != nil || len(ring.segments) == 0 || ring.segments[len(ring.segments)-1].Samples < 1000 {
			t.Errorf("segments %+v, %v", ring.segments, err)
		}

		// Nothing can make room: nothing is recorded, and nothing grows.
		disk.most.Store(0)
		s.Free = nil
		recordFor(t, s, 1200, "normal")
		if files, err := disk.List("."); err != nil || len(files) > 2*len(ring.segments)+2 {
			t.Errorf("%d files beside %d segments, %v", len(files), len(ring.segments), err)
		}
	})
}

// The wall clock is set while the recorder runs: no segment spans the step, nothing before
// or after it is lost or hidden, and neither an age nor an alarm of a wrong year counts.
func TestClockIsSetMeanwhile(t *testing.T) {
	for name, steps := range map[string][]time.Duration{
		"from 1970": {-30 * 365 * 24 * time.Hour, 0}, "to 2036 and back": {0, 36 * 365 * 24 * time.Hour, 0}, "an hour back": {0, -time.Hour},
		"a second back": {0, -time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && len(steps) < 3 {
				t.Skip("hours of recording: left out by -short")
			}
			folder := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				o := &observed{}
				s := settings(durable.Folder(folder), o)
				var off atomic.Int64
				s.Wall = func(t time.Time) time.Time { return t.Add(time.Duration(off.Load())).UTC().Round(0) }
				s.Synced = func() bool { return time.Duration(off.Load()).Abs() < 24*time.Hour }
				f := &furnace{r: rand.New(rand.NewPCG(1, 2)), state: "normal"}
				running(t, s, func(r *Recorder) {
					for i, step := range steps {
						off.Store(int64(step))
						for n := range 900 {
							if f.state = "normal"; n < 5 && i == len(steps)-2 {
								f.state = "abnormal"
							}
							f.second(r)
							time.Sleep(time.Second)
						}
					}
				})
				// Long after an alarm under a wrong clock, segments are ordinary again.
				off.Store(0)
				recordFor(t, s, 1300, "normal")
				if dropped, err := o.last(); dropped > 0 || err != nil {
					t.Errorf("status %v, %d dropped", err, dropped)
				}
				l := OpenLibrary(folder)
				segments, err := l.Segments()
				if err != nil {
					t.Fatal(err)
				}
				samples, pictures, newest := 0, 0, segments[0]
				for _, one := range segments {
					if one.To.Sub(one.From) > 11*time.Minute {
						t.Errorf("%s spans %s", one.Name, one.To.Sub(one.From))
					}
					if read, err := l.Samples(one.From, one.To); err != nil || len(read) < one.Samples-3 {
						t.Errorf("%s: %d of %d samples, %v", one.Name, len(read), one.Samples, err)
					}
					samples, pictures = samples+one.Samples, pictures+one.Pictures
					if one.From.After(newest.From) && one.From.Before(time.Now()) {
						newest = one
					}
				}
				want := 900*len(steps) + 1300
				if samples != 2*want || pictures < 2*want-4 {
					t.Errorf("%d samples and %d pictures of %d s", samples, pictures, want)
				}
				if newest.Keep != "" {
					t.Errorf("the newest segment is kept: %+v", newest)
				}
			})
		})
	}
}

// Pictures that wait for a slow disk are bounded in bytes.
func TestWaitingPicturesAreBounded(t *testing.T) {
	o := &observed{}
	r := New(settings(crashfs.New(-1), o))
	for range 100 {
		r.View(time.Now(), make([]byte, 1<<20))
	}
	if n := len(r.queue); n != maxWaitingBytes>>20 {
		t.Errorf("%d MB wait", n)
	}
	if dropped, err := o.last(); dropped != 100-maxWaitingBytes>>20 || err == nil {
		t.Errorf("%d dropped, %v", dropped, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if r.waiting.Load() != 0 {
		t.Errorf("%d bytes wait after the end", r.waiting.Load())
	}
}

// Odd records harm nothing beside them: numbers that are not finite, floods, huge texts,
// times that no file can hold.
func TestOddRecords(t *testing.T) {
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		o := &observed{}
		s := settings(durable.Folder(folder), o)
		running(t, s, func(r *Recorder) {
			f := &furnace{r: rand.New(rand.NewPCG(1, 2)), state: "normal"}
			for range 120 {
				f.second(r)
				r.Sample(drivers.Sample{Time: time.Now(), Current: [3]float64{math.NaN(), math.Inf(1), 1}, SetPoint: math.NaN()})
				r.Sample(drivers.Sample{Time: time.Now(), Current: [3]float64{math.MaxFloat64, math.MaxFloat64, math.MaxFloat64}, SetPoint: math.Inf(-1)})
				r.Sample(drivers.Sample{Time: time.Now(), Missing: strings.Repeat("\"\n", 50_000)})
				r.Second(Second{Decided: time.Now(), State: message.State{State: "normal", PMean: math.NaN()}})
				for range 10 {
					r.Event(message.Event{Stamp: message.Stamp{Time: time.Now()}, Kind: "mark", Subject: strings.Repeat("x", 1000), Cause: strings.Repeat("\x01", 20_000)})
				}
				r.Event(message.Event{Kind: "odd"}) // without a time
				r.View(time.Time{}, []byte("x"))
				time.Sleep(time.Second)
			}
		})
		if dropped, err := o.last(); dropped > 0 || err != nil {
			t.Errorf("status %v, %d dropped", err, dropped)
		}
		l := OpenLibrary(folder)
		segments, err := l.Segments()
		if err != nil {
			t.Fatal(err)
		}
		good := 0
		for _, one := range segments {
			if _, ok := readSummary(durable.Folder(folder), one.Name); !ok {
				t.Errorf("the summary of %s cannot be read again", one.Name)
			}
		}
		samples, err := l.Samples(time.Now().Add(-time.Hour), time.Now())
		for _, one := range samples {
			if one.Current[0] == 15000.5 {
				good++
			}
		}
		if err != nil || good != 240 {
			t.Errorf("%d good samples, %v", good, err)
		}
	})
}

// Of two programs that record into a folder the second says so, and costs the first
// nothing.
func TestOneProgramRecordsIntoAFolder(t *testing.T) {
	folder := durable.Folder(t.TempDir())
	synctest.Test(t, func(t *testing.T) {
		first, second := &observed{}, &observed{}
		s, again := settings(folder, first), settings(folder, second)
		s.Lock, again.Lock = folder.Lock, folder.Lock
		running(t, s, func(r *Recorder) {
			f, g := &furnace{r: rand.New(rand.NewPCG(1, 2)), state: "normal"}, &furnace{r: rand.New(rand.NewPCG(1, 2)), state: "normal"}
			f.second(r)
			time.Sleep(time.Second)
			running(t, again, func(r2 *Recorder) {
				for range 60 {
					f.second(r)
					g.second(r2)
					time.Sleep(time.Second)
				}
				if _, err := second.last(); err == nil || !strings.Contains(err.Error(), "paths.recordings: another program") {
					t.Errorf("status of the second: %v", err)
				}
			})
		})
		segments, err := OpenLibrary(string(folder)).Segments()
		if err != nil || len(segments) != 1 || segments[0].Samples != 122 {
			t.Errorf("segments %+v, %v", segments, err)
		}
	})
}
