package outbox

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"meltwatch/durable"
)

// Summary describes one class on disk.
type Summary struct {
	Class    string
	Segments int
	Bytes    int64
	// Records is the number of intact records, Waiting how many of them are not done.
	Records, Waiting uint64
	// Missing is the number of records lost to damage.
	Missing uint64
	// Oldest and Newest are the times of the last writes to the first and the last
	// segment; zero without segments.
	Oldest, Newest time.Time
}

// Stored is one record on disk.
type Stored struct {
	Class   string
	Number  uint64
	Waiting bool   // not acknowledged according to the cursor
	Payload []byte // valid until the next call
}

// Walk reads every segment of an outbox, which may be in use, and calls each for every
// intact record, by class and in order. It changes nothing. It returns a summary of
// each class, and the first error of the disk or of each. The error of a damaged cursor
// is returned after everything has been read.
func Walk(files durable.Files, each func(Stored) error) ([]Summary, error) {
	marks, cursorErr := readCursor(files)
	var summaries []Summary
	for i, class := range classNames {
		s, err := walkClass(files, class, marks[i].done, each)
		if err != nil {
			return nil, err
		}
		summaries = append(summaries, s)
	}
	return summaries, cursorErr
}

func walkClass(files durable.Files, class string, done spans, each func(Stored) error) (Summary, error) {
	s := Summary{Class: class}
	segments, err := listSegments(files, class)
	if err != nil {
		return s, err
	}
	for i, one := range segments {
		end := ^uint64(0)
		if i+1 < len(segments) {
			end = segments[i+1].first
		}
		s.Segments++
		s.Bytes += one.size
		if i == 0 {
			s.Oldest = one.modified
		}
		s.Newest = one.modified
		if err := s.walkSegment(files, one, end, done, each); err != nil {
			return s, err
		}
	}
	return s, nil
}

func (s *Summary) walkSegment(files durable.Files, one segment, end uint64, done spans, each func(Stored) error) error {
	path := segmentPath(s.Class, one.first)
	data, err := files.Read(path, readMost)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // deleted since the folder was listed
	}
	if err == nil {
		err = checkHeader(data)
	}
	if err != nil {
		return fmt.Errorf("read segment %s: %w", path, err)
	}
	next := one.first
	for _, f := range scan(data, one.first, end).frames {
		s.Missing += absent(next, f.number, done)
		next = f.number + 1
		s.Records++
		waiting := !done.has(f.number)
		if waiting {
			s.Waiting++
		}
		if err := each(Stored{s.Class, f.number, waiting, data[f.start:f.end]}); err != nil {
			return err
		}
	}
	if end != ^uint64(0) {
		s.Missing += absent(next, end, done)
	}
	return nil
}

// absent counts the numbers from lo up to hi that are not done.
func absent(lo, hi uint64, done spans) uint64 {
	n := hi - lo
	for _, s := range done {
		if from, to := max(lo, s.lo), min(hi, s.hi); from < to {
			n -= to - from
		}
	}
	return n
}
