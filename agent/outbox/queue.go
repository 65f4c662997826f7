package outbox

import (
	"fmt"
	"sort"
	"strings"
	"time"

	"meltwatch/durable"
)

// queue is the log of one class. Numbers start at 1. The tail holds the records that
// are not on disk yet; the segments hold all earlier ones. The Log's lock guards it.
type queue struct {
	files durable.Files
	class string
	code  byte // in the segments' headers
	// counted holds the names of the class's counters, which are read every second.
	counted counterNames

	segments []segment    // ascending; only the last is written to
	active   durable.File // the last segment if it is open, or nil
	// extend reports whether the last segment may be appended to.
	extend bool
	cache  loaded

	tail      []record // not yet committed, oldest first
	tailBytes int
	oldest    time.Time // when the tail's first record was appended

	next uint64 // the next record's number
	done spans  // acknowledged, dropped or lost
	held spans  // held by the publisher; never overlaps done

	dropped  uint64 // dropped by the bounds, or never accepted
	reported uint64 // of these, already reported
	lost     uint64 // lost to damage
	// damage lists damage that is not reported yet.
	damage []string
	// gap is this class's part of Log.gap.
	gap bool
}

// segment is one file.
type segment struct {
	first    uint64 // lower bound of its records' numbers
	size     int64  // bytes that were intact when written
	modified time.Time
	// damaged reports whether records are missing: the file is put aside when the
	// segment is done.
	damaged bool
	// refused counts failed reads.
	refused int
}

type record struct {
	number  uint64
	payload []byte
}

func newQueue(files durable.Files, class string, code byte) *queue {
	return &queue{
		files: files, class: class, code: code, next: 1,
		counted: counterNames{"waiting_" + class, "dropped_" + class, "lost_" + class, "bytes_" + class, "segments_" + class},
	}
}

// counterNames are the names that Counters uses for a class.
type counterNames struct{ waiting, dropped, lost, bytes, segments string }

func (q *queue) path(s segment) string { return segmentPath(q.class, s.first) }

func segmentPath(class string, first uint64) string {
	return fmt.Sprintf("%s/%020d%s", class, first, segmentSuffix)
}

// end is the upper bound, exclusive, of the numbers in segment i.
func (q *queue) end(i int) uint64 {
	switch {
	case i+1 < len(q.segments):
		return q.segments[i+1].first
	case len(q.tail) > 0:
		return q.tail[0].number
	default:
		return q.next
	}
}

func (q *queue) bytes() (n int64) {
	for _, s := range q.segments {
		n += s.size
	}
	return n
}

// open lists the segments and finds the end of the last one.
func (q *queue) open(m mark) error {
	segments, err := listSegments(q.files, q.class)
	if err != nil {
		return err
	}
	q.segments = segments
	q.next = max(m.next, 1)
	last := uint64(0)
	for len(q.segments) > 0 && last == 0 {
		if last, err = q.openLast(); err != nil {
			return err
		}
	}
	if last > 0 {
		q.next = max(q.next, last+1)
		q.gap = q.done.add(last+1, q.next) > 0 // assigned once, and never durable
	}
	first := q.next
	if len(q.segments) > 0 {
		first = q.segments[0].first
	}
	q.done.add(1, first)
	for _, s := range m.done {
		q.done.add(s.lo, s.hi)
	}
	return nil
}

// openLast finds the end of the last segment's intact part and returns its last number.
// A segment without an intact record is left by a power cut just after its creation: it
// is put aside, and 0 is returned.
func (q *queue) openLast() (last uint64, err error) {
	i := len(q.segments) - 1
	s := &q.segments[i]
	data, err := q.files.Read(q.path(*s), readMost)
	if err != nil {
		return 0, fmt.Errorf("read segment: %w", err)
	}
	if err := checkHeader(data); err != nil {
		return 0, fmt.Errorf("segment %s: %w", q.path(*s), err)
	}
	found := scan(data, s.first, ^uint64(0))
	q.next = max(q.next, s.first)
	if len(found.frames) == 0 {
		q.putAside(*s)
		q.segments = q.segments[:i]
		return 0, nil
	}
	// If the end is torn, the next record overwrites it. If the middle is damaged,
	// intact records follow, and the next record goes into a new segment.
	q.extend = !found.spared
	if q.extend {
		s.size = int64(found.whole)
	}
	return found.frames[len(found.frames)-1].number, nil
}

func listSegments(files durable.Files, class string) ([]segment, error) {
	entries, err := files.List(class)
	if err != nil {
		return nil, fmt.Errorf("list segments: %w", err)
	}
	var segments []segment
	for _, e := range entries {
		if first, ok := numbered(e.Name); ok {
			segments = append(segments, segment{first: first, size: e.Size, modified: e.Modified})
		}
	}
	sort.Slice(segments, func(i, j int) bool { return segments[i].first < segments[j].first })
	return segments, nil
}

// numbered parses the first number in a segment's file name.
func numbered(name string) (first uint64, ok bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(digits) != 20 {
		return 0, false
	}
	for _, d := range digits {
		if d < '0' || d > '9' {
			return 0, false
		}
		first = first*10 + uint64(d-'0')
	}
	return first, first > 0
}

func (q *queue) append(payload []byte, now time.Time) uint64 {
	if len(q.tail) == 0 {
		q.oldest = now
	}
	number := q.next
	q.next++
	q.tail = append(q.tail, record{number, payload})
	q.tailBytes += len(payload)
	q.held.add(number, q.next)
	return number
}

// finish marks numbers as done and returns how many were not before.
func (q *queue) finish(lo, hi uint64) uint64 {
	q.held.cut(lo, hi)
	added := q.done.add(lo, hi)
	if len(q.done) > maxSpans {
		q.done = q.done[:maxSpans] // these records are sent again
	}
	return added
}
