package recorder

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
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

// openRing reads the summaries, and makes those that are missing. What is not a segment is
// left alone.
func openRing(s Settings) (*ring, error) {
	if err := s.Files.MakeFolder("."); err != nil {
		return nil, fmt.Errorf("paths.recordings: %w", err)
	}
	entries, err := s.Files.List(".")
	if err != nil {
		return nil, fmt.Errorf("paths.recordings: %w", err)
	}
	r := &ring{Settings: s, names: map[string]bool{}}
	for _, e := range entries {
		name, isSegment := segmentOf(e.Name)
		if !isSegment || e.Size > largestSegment {
			continue
		}
		r.names[name] = true
		if e.Size <= int64(len(trailer)) { // the disk was full when it began
			if err := r.removeSegment(name); err != nil {
				s.Log.Warn("empty segment not removed", "segment", name, "err", err)
			}
			continue
		}
		summary, ok := readSummary(s.Files, name)
		if !ok || summary.Bytes != e.Size {
			if summary, err = recoverSegment(s.Files, name, e.Size); err != nil {
				// A defect of one segment must not end the recording of others.
				s.Log.Warn("segment not recovered", "segment", name, "err", err)
				summary = Summary{Name: name, Bytes: e.Size, From: begins(name), To: begins(name)}
			}
		}
		r.segments = append(r.segments, summary)
	}
	slices.SortFunc(r.segments, func(a, b Summary) int { return strings.Compare(a.Name, b.Name) })
	return r, nil
}

// largestSegment bounds a segment, with what is added to it in its last seconds.
const largestSegment = 2 * maxSegment

// segmentOf returns the segment's name of a file, if it is one.
func segmentOf(file string) (name string, ok bool) {
	name, isTar := strings.CutSuffix(file, ".tar")
	if !isTar || len(name) < len(segmentTime) {
		return "", false
	}
	if _, err := time.Parse(segmentTime, name[:len(segmentTime)]); err != nil {
		return "", false
	}
	if rest := name[len(segmentTime):]; rest != "" {
		digits, numbered := strings.CutPrefix(rest, "-")
		if _, err := strconv.ParseUint(digits, 10, 32); err != nil || !numbered {
			return "", false
		}
	}
	return name, true
}

// begins is the instant in a segment's name.
func begins(name string) time.Time {
	at, _ := time.Parse(segmentTime, name[:min(len(name), len(segmentTime))]) //nolint:errcheck // a foreign name stays at the zero time
	return at
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
	entries, end := scan(r, 0, size, verify)
	var d digest
	for _, e := range entries {
		d.entry(e, r)
	}
	return d.of(name, size), end
}

// entry adds an entry of a segment. What an older release wrote may differ: the lines that
// can be read count.
func (d *digest) entry(e Entry, r io.ReaderAt) {
	if e.Kind == Crop || e.Kind == View {
		d.picture(e.Time)
		return
	}
	content := make([]byte, e.Size)
	if _, err := r.ReadAt(content, e.Offset); err != nil {
		return
	}
	switch e.Kind {
	case Current:
		samples, _ := parseSamples(content) //nolint:errcheck // see above
		for _, s := range samples {
			d.sample(s)
		}
	case State:
		decided, _ := parseLines[Decided](content) //nolint:errcheck // see above
		for _, one := range decided {
			d.second(one.At, one.State)
		}
	case Events:
		events, _ := parseLines[message.Event](content) //nolint:errcheck // see above
		for _, event := range events {
			d.event(event, len(content)/len(events))
		}
	}
}

// of is the summary of a segment's first bytes.
func (d *digest) of(name string, size int64) Summary {
	s := d.Summary
	s.Name, s.Bytes = name, size
	if s.From.IsZero() {
		s.From, s.To = begins(name), begins(name)
	}
	return s
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
		return fmt.Errorf("paths.recordings: %w", err)
	}
	r.segments = append(r.segments, s)
	slices.SortFunc(r.segments, func(a, b Summary) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

// keepFrom keeps the segments that reach past an instant.
func (r *ring) keepFrom(t time.Time, reason string) {
	for i := range r.segments {
		s := &r.segments[i]
		if outranks(reason, s.Keep) && s.To.After(t) {
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
		if err := r.removeSegment(s.Name); err != nil {
			return fmt.Errorf("paths.recordings: %w", err)
		}
		r.segments = slices.Delete(r.segments, i, i+1)
		r.Log.Debug("segment removed", "segment", s.Name, "reason", reason)
	}
}

func (r *ring) removeSegment(name string) error {
	for _, file := range []string{name + ".json", name + ".tar"} {
		if err := r.Files.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	delete(r.names, name)
	return r.Files.SyncFolder(".")
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
	case r.aged() >= 0:
		return r.aged(), "age", nil
	case !r.short():
		return -1, "", nil
	case oldest < 0:
		return -1, "", errFull
	default:
		return oldest, "free space", nil
	}
}

var errFull = errors.New("recorder.min_free_mb: the disk is full of other files; make room, or record less")

// aged is an ordinary segment that is too old, or −1. Ages count from the wall clock while
// that is right; a segment that was recorded before the clock was set has none.
func (r *ring) aged() int {
	if r.Synced != nil && !r.Synced() {
		return -1
	}
	now := r.Wall(time.Now())
	const clockless = 1980 // where a clock starts that nobody has set
	return slices.IndexFunc(r.segments, func(s Summary) bool {
		return s.Keep == "" && s.To.Year() >= clockless && now.Sub(s.To) > r.MaxAge
	})
}

// short reports whether the disk has too little space left, for others or for a segment.
func (r *ring) short() bool {
	if r.Free == nil {
		return false
	}
	free, err := r.Free()
	return err == nil && free < max(r.MinFree, maxSegment)
}

// keptUntil is how much longer the newest alarm, fault or mark has what follows it kept.
func (r *ring) keptUntil(now time.Time) (left time.Duration, reason string) {
	for _, s := range r.segments {
		// More than keepAround is a clock that was put back since.
		if d := s.KeepUntil.Sub(now); d > left && d <= keepAround {
			left, reason = d, s.Keep
		}
	}
	return left, reason
}
