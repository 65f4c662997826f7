package outbox

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"meltwatch/durable"

	"github.com/google/go-cmp/cmp"
)

// witness records the reports of the outbox.
type witness struct {
	fault     error
	incidents []Incident
}

func (w *witness) Beat()           {}
func (w *witness) OK()             { w.fault = nil }
func (w *witness) Fault(err error) { w.fault = err }

func (w *witness) saw(class, what string) bool {
	for _, i := range w.incidents {
		if i.Class == class && i.What == what {
			return true
		}
	}
	return false
}

func roomy() Settings {
	plenty := Retention{Bytes: 1 << 40, Age: 1000 * time.Hour}
	return Settings{Bytes: 1 << 40, Event: plenty, State: plenty, Current: plenty, MemoryRecords: 1000}
}

func open(t testing.TB, files durable.Files, settings Settings) (*Log, *witness) {
	t.Helper()
	w := &witness{}
	l, err := Open(files, settings, slog.New(slog.DiscardHandler), w, func(i Incident) { w.incidents = append(w.incidents, i) })
	if err != nil {
		t.Fatal(err)
	}
	return l, w
}

// put appends records and returns them, so that they wait.
func put(l *Log, class string, payloads ...string) {
	for _, p := range payloads {
		l.Return(class, []uint64{l.Append(class, []byte(p))})
	}
}

// takeAll takes every waiting record of a class.
func takeAll(l *Log, class string) (payloads []string) {
	for {
		_, taken := l.Take(class, 7)
		if len(taken) == 0 {
			return payloads
		}
		for _, p := range taken {
			payloads = append(payloads, string(p))
		}
	}
}

func many(n int, size int) (payloads []string) {
	for i := range n {
		payloads = append(payloads, fmt.Sprintf("%06d", i)+strings.Repeat("x", size))
	}
	return payloads
}

// short returns the numbers in long payloads.
func short(payloads []string) (names []string) {
	for _, p := range payloads {
		names = append(names, p[:min(6, len(p))])
	}
	return names
}

func equal[T any](t testing.TB, what string, want, got T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%s (-want +got):\n%s", what, diff)
	}
}

func TestRecordsSurviveAReopening(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "outbox")
	l, _ := open(t, durable.Folder(folder), roomy())
	want := many(5000, 600) // three segments
	put(l, Current, want...)
	put(l, Event, "a", "b")
	l.Ack(Event, []uint64{1})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l, _ = open(t, durable.Folder(folder), roomy())
	equal(t, "events", []string{"b"}, takeAll(l, Event))
	equal(t, "current", short(want), short(takeAll(l, Current)))
	put(l, Event, "c")
	equal(t, "events", []string{"c"}, takeAll(l, Event))
}

func TestHeldRecordsWaitAgainAfterAReopening(t *testing.T) {
	folder := t.TempDir()
	l, _ := open(t, durable.Folder(folder), roomy())
	put(l, State, "a", "b", "c")
	numbers, _ := l.Take(State, 2)
	l.Ack(State, numbers[1:]) // b is acknowledged before a
	l.Sync()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l, _ = open(t, durable.Folder(folder), roomy())
	equal(t, "states", []string{"a", "c"}, takeAll(l, State))
}

func TestDoneRecordsAreDeleted(t *testing.T) {
	folder := t.TempDir()
	l, _ := open(t, durable.Folder(folder), roomy())
	put(l, Current, many(10_000, 600)...)
	l.Sync()
	if n := l.Counters()["segments_current"]; n < 5 {
		t.Fatalf("%d segments of 6 MB", n)
	}
	for {
		numbers, _ := l.Take(Current, 100)
		if len(numbers) == 0 {
			break
		}
		l.Ack(Current, numbers)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(filepath.Join(folder, Current))
	if err != nil || len(left) > 1 {
		t.Fatalf("%d files left after all was acknowledged, %v; want the newest at most", len(left), err)
	}
	counters := l.Counters()
	if counters["waiting_current"] != 0 || counters["dropped_current"] != 0 || counters["lost_current"] != 0 {
		t.Fatalf("counters %v", counters)
	}
}

// A number is never used twice, even if its record never reached the disk: otherwise a
// new record would inherit the acknowledgement of an old one.
func TestAcknowledgementOfAnUnwrittenRecordIsNotInherited(t *testing.T) {
	folder := t.TempDir()
	l, _ := open(t, durable.Folder(folder), roomy())
	number := l.Append(Current, []byte("acknowledged before it was written"))
	l.Ack(Current, []uint64{number})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l, _ = open(t, durable.Folder(folder), roomy())
	put(l, Current, "new")
	equal(t, "current", []string{"new"}, takeAll(l, Current))
}

func TestClassBoundDropsItsOldestSegments(t *testing.T) {
	settings := roomy()
	settings.Current.Bytes = 3 << 20
	l, w := open(t, durable.Folder(t.TempDir()), settings)
	all := many(10_000, 600)
	put(l, Current, all...)
	l.Sync()
	left := takeAll(l, Current)
	dropped := l.Counters()["dropped_current"]
	equal(t, "what is left", short(all[dropped:]), short(left))
	if dropped < 5000 || !w.saw(Current, "dropped") {
		t.Fatalf("%d dropped, incidents %v", dropped, w.incidents)
	}
}

func TestTotalBoundDropsTheLowestPriorityFirst(t *testing.T) {
	settings := roomy()
	settings.Bytes = 5 << 20
	l, _ := open(t, durable.Folder(t.TempDir()), settings)
	put(l, State, many(5000, 600)...)
	put(l, Current, many(5000, 600)...)
	put(l, Event, "e")
	l.Sync()
	c := l.Counters()
	if c["dropped_state"] != 0 || c["dropped_event"] != 0 || c["dropped_current"] == 0 {
		t.Fatalf("counters %v: want current dropped alone", c)
	}
	put(l, State, many(5000, 600)...)
	l.Sync()
	if c = l.Counters(); c["dropped_state"] == 0 || c["waiting_event"] != 1 {
		t.Fatalf("counters %v: want state dropped once current was down to one segment", c)
	}
}

func TestOldSegmentsAreDroppedUnlessTheClockWasUnset(t *testing.T) {
	folder := t.TempDir()
	settings := roomy()
	l, _ := open(t, durable.Folder(folder), settings)
	put(l, Current, "old")
	put(l, State, "of 1970")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for class, when := range map[string]time.Time{Current: time.Now().Add(-1001 * time.Hour), State: time.Unix(1000, 0)} {
		if err := os.Chtimes(filepath.Join(folder, segmentPath(class, 1)), when, when); err != nil {
			t.Fatal(err)
		}
	}
	l, _ = open(t, durable.Folder(folder), settings)
	l.Sync()
	equal(t, "current", nil, takeAll(l, Current))
	equal(t, "state", []string{"of 1970"}, takeAll(l, State))
}

// After a jump of the clock by a day, a segment's age is wrong by that day only.
func TestClockJumpShiftsAgesByItself(t *testing.T) {
	for name, test := range map[string]struct {
		written time.Duration // before now, by its file time
		kept    bool
	}{
		"written tomorrow":                {-24 * time.Hour, true},
		"a day short of its age":          {999*time.Hour - 24*time.Hour, true},
		"over its age though a day ahead": {1001 * time.Hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			l, _ := open(t, durable.Folder(folder), roomy())
			put(l, Current, "old")
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			when := time.Now().Add(-test.written)
			if err := os.Chtimes(filepath.Join(folder, segmentPath(Current, 1)), when, when); err != nil {
				t.Fatal(err)
			}
			l, _ = open(t, durable.Folder(folder), roomy())
			put(l, Current, "new")
			l.Sync()
			want := []string{"old", "new"}
			if !test.kept {
				want = []string{"new"}
			}
			equal(t, "current", want, takeAll(l, Current))
		})
	}
}

func TestRefusedRecordsGetNoNumber(t *testing.T) {
	l, _ := open(t, durable.Folder(t.TempDir()), roomy())
	for name, try := range map[string]func() uint64{
		"unknown class": func() uint64 { return l.Append("video", []byte("x")) },
		"empty":         func() uint64 { return l.Append(Event, nil) },
		"too long":      func() uint64 { return l.Append(Event, make([]byte, MaxRecord+1)) },
	} {
		if n := try(); n != 0 {
			t.Errorf("%s got number %d", name, n)
		}
	}
	if n := l.Append(Event, make([]byte, MaxRecord)); n != 1 {
		t.Errorf("the longest record got number %d", n)
	}
}

func TestDamagedCursorRepeatsAndLosesNothing(t *testing.T) {
	folder := t.TempDir()
	l, _ := open(t, durable.Folder(folder), roomy())
	put(l, Event, "a", "b")
	l.Ack(Event, []uint64{1})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, cursorName), []byte("MWCU\x01 nonsense of some length"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, _ = open(t, durable.Folder(folder), roomy())
	equal(t, "events", []string{"a", "b"}, takeAll(l, Event))
}

func TestOpeningReadsOneSegmentAClass(t *testing.T) {
	folder := t.TempDir()
	l, _ := open(t, durable.Folder(folder), roomy())
	put(l, Current, many(10_000, 600)...)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	counting := &reads{Files: durable.Folder(folder)}
	l, _ = open(t, counting, roomy())
	if counting.bytes > readMost {
		t.Fatalf("opening read %d bytes", counting.bytes)
	}
	counting.bytes = 0
	l.Take(Current, 10)
	if counting.bytes > readMost {
		t.Fatalf("ten records took %d bytes to read", counting.bytes)
	}
}

type reads struct {
	durable.Files
	bytes int
}

func (r *reads) Read(path string, most int64) ([]byte, error) {
	data, err := r.Files.Read(path, most)
	r.bytes += len(data)
	return data, err
}
