package recorder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"meltwatch/agent/message"
	"meltwatch/drivers"
	"meltwatch/durable"
)

// Library reads a recording, beside a recorder that writes it or from a copied folder. It
// changes nothing and is safe for concurrent use.
type Library struct {
	folder string

	mu        sync.Mutex
	summaries map[string]Summary  // by name, of complete segments
	scanned   map[string]*scanned // by name
	order     []string            // of scanned, oldest use first
}

// scanned is what was read of a segment so far. A segment that is being written grows, so
// only its new end is read again.
type scanned struct {
	entries   []Entry
	end       int64 // where they end
	size      int64 // of the file then
	digest    digest
	digested  int // entries in digest
	unchanged func(os.FileInfo) bool
}

// maxScanned bounds the segments whose entries stay in memory.
const maxScanned = 16

// OpenLibrary returns the library of a folder. A missing folder is an empty recording.
func OpenLibrary(folder string) *Library {
	return &Library{folder: folder, summaries: map[string]Summary{}, scanned: map[string]*scanned{}}
}

// Folder is the recording's folder.
func (l *Library) Folder() string { return l.folder }

// Segments returns the summaries of all segments, oldest first. That of the open segment
// is completed at each call.
func (l *Library) Segments() ([]Summary, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	files := durable.Folder(l.folder)
	entries, err := files.List(".")
	if err != nil {
		return nil, fmt.Errorf("paths.recordings: %w", err)
	}
	complete := map[string]bool{}
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name, ".json"); ok {
			complete[name] = true
		}
	}
	var all []Summary
	known := map[string]Summary{}
	for _, e := range entries {
		name, ok := segmentOf(e.Name)
		if !ok || e.Size > largestSegment {
			continue
		}
		s, have := l.summaries[name]
		// A recent segment may have become one that is kept, and an old name belong to
		// another one.
		if have && s.Bytes == e.Size && (s.Keep != "" || time.Since(e.Modified) > 2*keepAround) {
			known[name] = s
		} else if s, have = readSummary(files, name); complete[name] && have && s.Bytes == e.Size {
			known[name] = s
		} else if s, err = l.summarizeFile(name); err != nil {
			continue // removed meanwhile
		}
		all = append(all, s)
	}
	l.summaries = known
	slices.SortFunc(all, func(a, b Summary) int { return a.From.Compare(b.From) })
	return all, nil
}

func (l *Library) summarizeFile(name string) (Summary, error) {
	file, size, err := l.open(name)
	if err != nil {
		return Summary{}, err
	}
	defer file.Close()
	s := l.scan(name, file, size)
	for ; s.digested < len(s.entries); s.digested++ {
		s.digest.entry(s.entries[s.digested], file)
	}
	return s.digest.of(name, size), nil
}

// scan reads what is new of a segment. The lock is held.
func (l *Library) scan(name string, file *os.File, size int64) *scanned {
	info, err := file.Stat()
	s := l.scanned[name]
	if s == nil || size < s.end || err != nil || !s.unchanged(info) {
		s = &scanned{unchanged: func(now os.FileInfo) bool { return os.SameFile(info, now) }}
		if !slices.Contains(l.order, name) {
			l.order = append(l.order, name)
		}
		l.scanned[name] = s
		if len(l.order) > maxScanned {
			delete(l.scanned, l.order[0])
			l.order = l.order[1:]
		}
	}
	if size == s.size {
		return s
	}
	fresh, end := scan(file, s.end, size, false)
	for i := range fresh {
		fresh[i].Segment = name
	}
	s.entries, s.end, s.size = append(s.entries, fresh...), end, size
	return s
}

func (l *Library) open(name string) (*os.File, int64, error) {
	file, err := os.Open(filepath.Join(l.folder, name+".tar"))
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil, 0, errors.Join(err, file.Close(), fs.ErrInvalid)
	}
	return file, info.Size(), nil
}

// Entries returns the entries of some kinds whose instants lie in [from, to], in order of
// time. Chunks of records that began up to flushEvery before from are included.
func (l *Library) Entries(from, to time.Time, kinds ...Kind) ([]Entry, error) {
	segments, err := l.Segments()
	if err != nil {
		return nil, err
	}
	var all []Entry
	for _, s := range segments {
		if s.To.Before(from) || s.From.After(to) {
			continue
		}
		entries, err := l.entriesOf(s.Name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			begin := from
			if e.Kind == Current || e.Kind == State || e.Kind == Events {
				begin = from.Add(-2 * flushEvery)
			}
			if slices.Contains(kinds, e.Kind) && !e.Time.Before(begin) && !e.Time.After(to) {
				all = append(all, e)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Entry) int { return a.Time.Compare(b.Time) })
	return all, nil
}

func (l *Library) entriesOf(name string) ([]Entry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	file, size, err := l.open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	entries := l.scan(name, file, size).entries
	return entries[:len(entries):len(entries)], nil
}

// Read returns the content of an entry.
func (l *Library) Read(e Entry) ([]byte, error) {
	if e.Segment != filepath.Base(e.Segment) || e.Size > maxEntry {
		return nil, fs.ErrInvalid
	}
	file, _, err := l.open(e.Segment)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data := make([]byte, e.Size)
	if _, err := file.ReadAt(data, e.Offset); err != nil {
		return nil, fmt.Errorf("recording %s: %w", e.Segment, err)
	}
	return data, nil
}

// Picture returns the picture of a kind that is nearest to an instant, within ten
// seconds; without one the error is fs.ErrNotExist.
func (l *Library) Picture(kind Kind, at time.Time) (Entry, []byte, error) {
	const within = 10 * time.Second
	entries, err := l.Entries(at.Add(-within), at.Add(within), kind)
	if err != nil {
		return Entry{}, nil, err
	}
	if len(entries) == 0 {
		return Entry{}, nil, fs.ErrNotExist
	}
	nearest := slices.MinFunc(entries, func(a, b Entry) int {
		return int(a.Time.Sub(at).Abs() - b.Time.Sub(at).Abs())
	})
	data, err := l.Read(nearest)
	return nearest, data, err
}

// Samples returns the readings in [from, to].
func (l *Library) Samples(from, to time.Time) ([]drivers.Sample, error) {
	return records(l, Current, from, to, parseSamples, func(s drivers.Sample) time.Time { return s.Time })
}

// States returns the decided seconds in [from, to].
func (l *Library) States(from, to time.Time) ([]Decided, error) {
	return records(l, State, from, to, parseLines[Decided], func(d Decided) time.Time { return d.At })
}

// Events returns the events in [from, to].
func (l *Library) Events(from, to time.Time) ([]message.Event, error) {
	return records(l, Events, from, to, parseLines[message.Event], func(e message.Event) time.Time { return e.Time })
}

func records[T any](l *Library, kind Kind, from, to time.Time, parse func([]byte) ([]T, error), instant func(T) time.Time) ([]T, error) {
	entries, err := l.Entries(from, to, kind)
	if err != nil {
		return nil, err
	}
	var all []T
	for _, e := range entries {
		data, err := l.Read(e)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		values, _ := parse(data) //nolint:errcheck // one damaged line must not hide an hour of others
		for _, v := range values {
			if at := instant(v); !at.Before(from) && !at.After(to) {
				all = append(all, v)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b T) int { return instant(a).Compare(instant(b)) })
	return all, nil
}
