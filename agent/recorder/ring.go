package recorder

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"meltwatch/agent/message"
	"meltwatch/durable"
)

// ring is the segments on disk, and their bounds.
type ring struct {
	Settings
	segments []Summary // complete ones, by name
	open     int64     // bytes of the open segment
	names    map[string]bool
}

// keptShare is how much of the bytes kept segments may take before the oldest of them
// goes too.
const keptShare = 0.5

// openRing reads the summaries, and makes those that are missing.
func openRing(s Settings) (*ring, error) {
	if err := s.Files.MakeFolder("."); err != nil {
		return nil, fmt.Errorf("recorder.folder: %w", err)
	}
	entries, err := s.Files.List(".")
	if err != nil {
		return nil, fmt.Errorf("recorder.folder: %w", err)
	}
	r := &ring{Settings: s, names: map[string]bool{}}
	has := map[string]bool{}
	for _, e := range entries {
		has[e.Name] = true
	}
	for _, e := range entries {
		name, isSegment := strings.CutSuffix(e.Name, ".tar")
		if !isSegment {
			continue
		}
		summary, ok := Summary{}, false
		if has[name+".json"] {
			summary, ok = readSummary(s.Files, name)
			ok = ok && summary.Bytes == e.Size
		}
		if !ok {
			if summary, err = recoverSegment(s.Files, name, e.Size); err != nil {
				return nil, fmt.Errorf("recorder.folder: %s: %w", e.Name, err)
			}
		}
		r.names[name] = true
		r.segments = append(r.segments, summary)
	}
	slices.SortFunc(r.segments, func(a, b Summary) int { return strings.Compare(a.Name, b.Name) })
	return r, nil
}

// maxSummary bounds a summary's file, in bytes.
const maxSummary = 1 << 20

func readSummary(files durable.Files, name string) (s Summary, ok bool) {
	text, err := files.Read(name+".json", maxSummary)
	if err != nil || json.Unmarshal(text, &s) != nil || s.Name != name {
		return Summary{}, false
	}
	return s, true
}

// recoverSegment cuts off the end of a segment that a power cut damaged, ends it, and
// makes its summary.
func recoverSegment(files durable.Files, name string, size int64) (Summary, error) {
	data, err := files.Read(name+".tar", size)
	if err != nil {
		return Summary{}, err
	}
	summary, end := summarize(name, bytes.NewReader(data), int64(len(data)), true)
	if !bytes.Equal(data[end:], trailer) {
		file, err := files.Extend(name+".tar", end)
		if err != nil {
			return Summary{}, err
		}
		padding := make([]byte, (block-end%block)%block) // of the last entry, which is intact without it
		_, err = file.Write(append(padding, trailer...))
		if err == nil {
			err = file.Sync()
		}
		if err = errors.Join(err, file.Close()); err != nil {
			return Summary{}, err
		}
		end += int64(len(padding))
	}
	summary.Bytes = end + int64(len(trailer))
	return summary, writeSummary(files, summary)
}

func writeSummary(files durable.Files, s Summary) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return durable.Replace(files, s.Name+".json", text)
}

// summarize makes the summary of a segment from its entries, and returns where the
// intact ones end. With verify it compares the CRCs of all of them.
func summarize(name string, r io.ReaderAt, size int64, verify bool) (Summary, int64) {
	entries, end := scan(r, size, verify)
	w := writer{}
	for _, e := range entries {
		if e.Kind == Crop || e.Kind == View {
			w.note(e.Time)
			w.summary.Pictures++
			continue
		}
		content := make([]byte, e.Size)
		if _, err := r.ReadAt(content, e.Offset); err != nil {
			continue
		}
		// What an older release wrote may differ: the lines that can be read count.
		switch e.Kind {
		case Current:
			samples, _ := parseSamples(content) //nolint:errcheck // see above
			for _, s := range samples {
				w.sample(s)
			}
		case State:
			decided, _ := parseLines[Decided](content) //nolint:errcheck // see above
			for _, d := range decided {
				w.second(Second{Decided: d.At, State: d.State})
			}
		case Events:
			events, _ := parseLines[message.Event](content) //nolint:errcheck // see above
			for _, event := range events {
				w.event(event)
			}
		}
		w.current.Reset()
		w.states.Reset()
		w.evs.Reset()
	}
	w.summary.Name, w.summary.Bytes = name, size
	if w.summary.From.IsZero() {
		w.summary.From, _ = time.Parse(segmentTime, name) //nolint:errcheck // a foreign name stays at the zero time
		w.summary.To = w.summary.From
	}
	return w.summary, end
}

const segmentTime = "20060102T150405Z"

// newName is the name of a segment that begins at an instant.
func (r *ring) newName(from time.Time) string {
	base := from.UTC().Format(segmentTime)
	name := base
	for n := 2; r.names[name]; n++ { // the clock was put back
		name = fmt.Sprintf("%s-%d", base, n)
	}
	r.names[name] = true
	return name
}

// add adds a complete segment.
func (r *ring) add(s Summary) error {
	if err := writeSummary(r.Files, s); err != nil {
		return fmt.Errorf("recorder.folder: %w", err)
	}
	r.segments = append(r.segments, s)
	slices.SortFunc(r.segments, func(a, b Summary) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

// keepFrom keeps the segments that reach past an instant.
func (r *ring) keepFrom(t time.Time, reason string) {
	for i := range r.segments {
		s := &r.segments[i]
		if s.Keep == "" && s.To.After(t) {
			s.Keep = reason
			if err := writeSummary(r.Files, *s); err != nil {
				r.Log.Warn("segment not marked as kept", "segment", s.Name, "err", err)
			}
		}
	}
}

// enforce removes the oldest segments while a bound is passed: ordinary ones first.
func (r *ring) enforce() error {
	for {
		i, reason, err := r.surplus()
		if err != nil || i < 0 {
			return err
		}
		s := r.segments[i]
		if err := errors.Join(r.remove(s.Name+".json"), r.remove(s.Name+".tar"), r.Files.SyncFolder(".")); err != nil {
			return fmt.Errorf("recorder.folder: %w", err)
		}
		r.segments = slices.Delete(r.segments, i, i+1)
		delete(r.names, s.Name)
		r.Log.Debug("segment removed", "segment", s.Name, "reason", reason)
	}
}

func (r *ring) remove(name string) error {
	if _, err := r.Files.Read(name, 1); err != nil {
		return nil //nolint:nilerr // not there any more
	}
	return r.Files.Remove(name)
}

// surplus is the segment to remove next, or −1. It fails if only kept segments could make
// room on a disk that others have filled.
func (r *ring) surplus() (index int, reason string, err error) {
	var total, kept int64
	oldest, oldestKept := -1, -1
	for i, s := range r.segments {
		total += s.Bytes
		if s.Keep == "" {
			if oldest < 0 {
				oldest = i
			}
			continue
		}
		kept += s.Bytes
		if oldestKept < 0 {
			oldestKept = i
		}
	}
	first := oldest
	if first < 0 || float64(kept) > keptShare*float64(r.MaxBytes) {
		first = oldestKept
	}
	switch {
	case first >= 0 && total+r.open > r.MaxBytes:
		return first, "bytes", nil
	case oldest >= 0 && r.dated() && r.newest().Sub(r.segments[oldest].To) > r.MaxAge:
		return oldest, "age", nil
	case !r.short():
		return -1, "", nil
	case oldest < 0:
		return -1, "", errFull
	default:
		return oldest, "free space", nil
	}
}

var errFull = errors.New("recorder.min_free_mb: the disk is full of other files; make room, or record less")

// newest is the end of the newest segment.
func (r *ring) newest() (t time.Time) {
	for _, s := range r.segments {
		if s.To.After(t) {
			t = s.To
		}
	}
	return t
}

// short reports whether the disk has too little space left.
func (r *ring) short() bool {
	if r.Free == nil {
		return false
	}
	free, err := r.Free()
	return err == nil && free < r.MinFree
}

// dated reports whether ages can be compared: a clock that was set wrong must not cost the
// recording.
func (r *ring) dated() bool { return r.Synced == nil || r.Synced() }

// keptUntil is how long the newest alarm, fault or mark has what follows it kept.
func (r *ring) keptUntil() (until time.Time, reason string) {
	for _, s := range r.segments {
		if s.KeepUntil.After(until) {
			until, reason = s.KeepUntil, s.Keep
		}
	}
	return until, reason
}
