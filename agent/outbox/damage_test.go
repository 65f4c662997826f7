package outbox

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"meltwatch/durable"
	"meltwatch/durable/crashfs"
)

// oneSegment writes payloads into a class's first segment and returns its bytes.
func oneSegment(t testing.TB, payloads []string) []byte {
	t.Helper()
	folder := t.TempDir()
	l, _ := open(t, durable.Folder(folder), roomy())
	put(l, Event, payloads...)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(folder, segmentPath(Event, 1)))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// holding returns a disk with segments of events by their first numbers.
func holding(segments map[uint64][]byte) *crashfs.Disk {
	d := crashfs.New(-1)
	for first, data := range segments {
		d.Put(segmentPath(Event, first), data)
	}
	return d
}

// prefixes is the number of frames that end at or before a length.
func prefixes(frames []frame, length int) (n int) {
	for n < len(frames) && frames[n].end <= length {
		n++
	}
	return n
}

func TestTailTruncatedAtEveryByteKeepsEveryRecordBeforeIt(t *testing.T) {
	payloads := []string{"first", strings.Repeat("second ", 9), "3", "fourth and last"}
	data := oneSegment(t, payloads)
	frames := scan(data, 1, 100).frames
	if len(frames) != len(payloads) {
		t.Fatalf("%d frames", len(frames))
	}
	for length := range data {
		d := holding(map[uint64][]byte{1: data[:length]})
		l, w := open(t, d, roomy())
		var want []string
		want = append(want, payloads[:prefixes(frames, length)]...)
		equal(t, fmt.Sprintf("cut to %d bytes", length), want, takeAll(l, Event))
		put(l, Event, "new")
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l, _ = open(t, d, roomy())
		equal(t, fmt.Sprintf("cut to %d bytes, then written to", length), append(want, "new"), takeAll(l, Event))
		if len(w.incidents) > 0 {
			t.Fatalf("a torn tail counted as damage: %v", w.incidents)
		}
	}
}

// One flipped bit costs one record. It is counted and reported, the file is put aside,
// and all other records arrive in order.
func TestFlippedBitCostsOneRecord(t *testing.T) {
	payloads := many(200, 100)
	data := oneSegment(t, payloads)
	frames := scan(data, 1, 1000).frames
	next := appendFrame(segmentHeader(1), 201, []byte("next segment"))
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		bit := r.IntN(8 * len(data))
		damaged := slices.Clone(data)
		damaged[bit/8] ^= 1 << (bit % 8)
		hit := slices.IndexFunc(frames, func(f frame) bool { return bit/8 < f.end })
		want := append(slices.Delete(slices.Clone(payloads), hit, hit+1), "next segment")
		if bit/8 < headerSize {
			want = append(slices.Clone(payloads), "next segment")
		}
		d := holding(map[uint64][]byte{1: damaged, 201: next})
		l, w := open(t, d, roomy())
		if got := takeAll(l, Event); !slices.Equal(got, want) {
			t.Fatalf("bit %d: %d records, want %d", bit, len(got), len(want))
		}
		if bit/8 < headerSize {
			continue
		}
		if l.Counters()["lost_event"] != 1 || !w.saw(Event, "damaged") {
			t.Fatalf("bit %d: counters %v, incidents %v", bit, l.Counters(), w.incidents)
		}
		for n := range uint64(201) {
			l.Ack(Event, []uint64{n + 1})
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if !d.Has(segmentPath(Event, 1) + damagedSuffix) {
			t.Fatalf("bit %d: the damaged segment was not kept aside", bit)
		}
	}
}

// A flipped bit in the newest segment must not lose the intact records after it.
func TestFlippedBitInTheTailSparesWhatFollows(t *testing.T) {
	payloads := many(20, 50)
	data := oneSegment(t, payloads)
	data[scan(data, 1, 100).frames[7].start] ^= 4
	d := holding(map[uint64][]byte{1: data})
	l, w := open(t, d, roomy())
	put(l, Event, "new")
	want := append(slices.Delete(slices.Clone(payloads), 7, 8), "new")
	equal(t, "events", want, takeAll(l, Event))
	if !w.saw(Event, "damaged") {
		t.Fatal("the damage was not reported")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l, _ = open(t, d, roomy())
	equal(t, "events after another start", want, takeAll(l, Event))
}

// failingDisk fails like a full, read-only or defective disk.
type failingDisk struct {
	durable.Files
	writes, reads error // nil without a fault
}

func (d *failingDisk) Read(name string, most int64) ([]byte, error) {
	if d.reads != nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: d.reads}
	}
	return d.Files.Read(name, most)
}

func (d *failingDisk) Create(name string) (durable.File, error) {
	if d.writes != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: d.writes}
	}
	file, err := d.Files.Create(name)
	return &failingFile{file, d}, err
}

func (d *failingDisk) Extend(name string, size int64) (durable.File, error) {
	if d.writes != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: d.writes}
	}
	file, err := d.Files.Extend(name, size)
	return &failingFile{file, d}, err
}

type failingFile struct {
	durable.File
	disk *failingDisk
}

// Write writes a part before it fails, like a disk that fills up.
func (f *failingFile) Write(data []byte) (int, error) {
	if f.disk.writes != nil {
		n, _ := f.File.Write(data[:len(data)/2])
		return n, f.disk.writes
	}
	return f.File.Write(data)
}

func (f *failingFile) Sync() error {
	if f.disk.writes != nil {
		return f.disk.writes
	}
	return f.File.Sync()
}

func TestRecordsWaitWhileTheDiskRefuses(t *testing.T) {
	for _, sickness := range []error{syscall.ENOSPC, syscall.EROFS, syscall.EIO, syscall.EFBIG} {
		t.Run(sickness.Error(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &failingDisk{Files: crashfs.New(-1)}
				l, w := open(t, d, roomy())
				put(l, Event, "before")
				put(l, State, "state before")
				l.Sync()
				d.writes = sickness
				put(l, Event, "during 1", "during 2")
				put(l, Current, "current")
				l.Sync()
				if !errors.Is(w.fault, sickness) || !w.saw("disk", "fault") {
					t.Fatalf("fault %v, incidents %v", w.fault, w.incidents)
				}
				events := takeAll(l, Event)
				equal(t, "events while the disk refuses", []string{"before", "during 1", "during 2"}, events)
				for n := range events {
					l.Return(Event, []uint64{uint64(n) + 1})
				}
				d.writes = nil
				time.Sleep(retryEvery + time.Second)
				l.Sync()
				if w.fault != nil || !w.saw("disk", "ok") {
					t.Fatalf("after the disk's recovery: fault %v, incidents %v", w.fault, w.incidents)
				}
				// The records from memory are on the disk now, in order.
				l, w = open(t, d, roomy())
				equal(t, "events", events, takeAll(l, Event))
				equal(t, "current", []string{"current"}, takeAll(l, Current))
				if len(w.incidents) > 0 {
					t.Fatalf("incidents %v", w.incidents)
				}
			})
		})
	}
}

func TestMemoryIsBoundedWhileTheDiskRefuses(t *testing.T) {
	settings := roomy()
	settings.MemoryRecords = 10
	l, _ := open(t, &failingDisk{Files: crashfs.New(-1), writes: syscall.ENOSPC}, settings)
	for i := range 20 {
		put(l, Current, fmt.Sprint("current ", i))
		put(l, Event, fmt.Sprint("event ", i))
	}
	c := l.Counters()
	if c["unwritten"] != 10 || c["waiting_event"] != 10 || c["dropped_current"] != 20 || c["dropped_event"] != 10 {
		t.Fatalf("counters %v", c)
	}
	if got := takeAll(l, Event); got[0] != "event 10" || got[9] != "event 19" {
		t.Fatalf("kept %v, want the newest", got)
	}
}

func TestUnreadableSegmentDoesNotBlockOthers(t *testing.T) {
	d := &failingDisk{Files: crashfs.New(-1)}
	l, _ := open(t, d, roomy())
	put(l, Event, "a")
	put(l, State, "b")
	l.Sync()
	d.reads = syscall.EIO
	for range giveUpReading + 1 {
		l.Take(Event, 10)
	}
	if c := l.Counters(); c["lost_event"] != 1 {
		t.Fatalf("counters %v: want the unreadable record given up", c)
	}
	d.reads = nil
	equal(t, "states", []string{"b"}, takeAll(l, State))
}

func TestSegmentOfANewerLayoutIsNotTouched(t *testing.T) {
	header := sealHeader(append([]byte(segmentMagic), segmentVersion+1, 1))
	data := appendFrame(header, 1, []byte("x"))
	if _, err := Open(holding(map[uint64][]byte{1: data}), roomy(), nil, &witness{}, nil); err == nil || !strings.Contains(err.Error(), "newer") {
		t.Fatalf("got %v, want an error that asks for an update", err)
	}
}

// FuzzScan checks that no input panics or hangs, and that the found frames are intact,
// in order and inside the input.
func FuzzScan(f *testing.F) {
	data := oneSegment(f, many(5, 40))
	f.Add(data, uint64(1), uint64(100))
	f.Add(data[:len(data)-3], uint64(1), uint64(100))
	f.Add(slices.Concat(data, data), uint64(0), ^uint64(0))
	f.Add(make([]byte, 1000), uint64(1), uint64(100))
	f.Add(bytes.Repeat([]byte{1, 0, 0, 0}, 300), uint64(1), uint64(1<<40))
	f.Fuzz(func(t *testing.T, data []byte, first, limit uint64) {
		s := scan(data, first, limit)
		end, last := min(headerSize, len(data)), first
		for _, one := range s.frames {
			if one.number < last || one.number >= limit || one.start < end+frameHead || one.end > len(data) {
				t.Fatalf("frame %+v after number %d and byte %d", one, last, end)
			}
			again := appendFrame(nil, one.number, data[one.start:one.end])
			if !bytes.Equal(again, data[one.start-frameHead:one.end]) {
				t.Fatalf("frame %+v is not what its record would be written as", one)
			}
			last, end = one.number+1, one.end
		}
		if s.whole > len(data) {
			t.Fatalf("%d of %d bytes are whole", s.whole, len(data))
		}
	})
}

// FuzzCursor checks that no input panics, and that an accepted input equals its
// encoding.
func FuzzCursor(f *testing.F) {
	f.Add(encodeCursor([classes]mark{{next: 9, done: spans{{1, 4}, {6, 7}}}, {next: 1}, {}}))
	f.Add([]byte(cursorMagic))
	f.Fuzz(func(t *testing.T, data []byte) {
		marks, err := decodeCursor(data)
		if err != nil {
			return
		}
		again, err := decodeCursor(encodeCursor(marks))
		if err != nil {
			t.Fatal(err)
		}
		for i := range marks {
			if !slices.Equal(marks[i].done, again[i].done) || marks[i].next != again[i].next {
				t.Fatalf("cursor %v became %v", marks, again)
			}
		}
	})
}
