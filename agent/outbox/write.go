package outbox

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// commit makes the tail durable. After an error the unwritten records stay in the tail,
// and the next attempt begins a new segment: after a failed write or sync, the content
// of the old one beyond its intact part is unknown. If some of it turns out to be
// written, the new segment's first number separates the two.
func (q *queue) commit(now time.Time) error {
	q.forget()
	for len(q.tail) > 0 {
		if err := q.ready(now); err != nil {
			q.giveUp()
			return err
		}
		if err := q.write(now); err != nil {
			q.giveUp()
			return err
		}
	}
	q.tail = nil // releases the payloads too
	return nil
}

// forget removes records from the tail that were acknowledged before they were written.
func (q *queue) forget() {
	q.tail = slices.DeleteFunc(q.tail, func(r record) bool { return q.done.has(r.number) })
	q.tailBytes = 0
	for _, r := range q.tail {
		q.tailBytes += len(r.payload)
	}
}

// ready opens the segment for the tail's first record.
func (q *queue) ready(now time.Time) error {
	last := len(q.segments) - 1
	if q.active != nil && q.segments[last].size < segmentSize {
		return nil
	}
	q.seal()
	if last >= 0 && q.extend && q.segments[last].size < segmentSize {
		file, err := q.files.Extend(q.path(q.segments[last]), q.segments[last].size)
		if err != nil {
			return fmt.Errorf("continue segment: %w", err)
		}
		q.active = file
		return nil
	}
	return q.begin(now)
}

// begin creates a segment, and makes it and its name durable before a record is
// written.
func (q *queue) begin(now time.Time) error {
	s := segment{first: q.tail[0].number, modified: now, size: headerSize}
	if err := q.files.MakeFolder(q.class); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	file, err := q.files.Create(q.path(s))
	if err != nil {
		return fmt.Errorf("create segment: %w", err)
	}
	q.active = file
	q.segments = append(q.segments, s)
	_, writeErr := file.Write(segmentHeader(q.code))
	if err := errors.Join(writeErr, file.Sync(), q.files.SyncFolder(q.class)); err != nil {
		return fmt.Errorf("begin segment: %w", err)
	}
	q.extend = true
	return nil
}

// write writes as much of the tail as fits into the open segment, and syncs.
func (q *queue) write(now time.Time) error {
	s := &q.segments[len(q.segments)-1]
	var group []byte
	n := 0
	for n < len(q.tail) && s.size+int64(len(group)) < segmentSize {
		group = appendFrame(group, q.tail[n].number, q.tail[n].payload)
		n++
	}
	if _, err := q.active.Write(group); err != nil {
		return fmt.Errorf("write records: %w", err)
	}
	if err := q.active.Sync(); err != nil {
		return fmt.Errorf("sync records: %w", err)
	}
	s.size += int64(len(group))
	s.modified = now
	for _, r := range q.tail[:n] {
		q.tailBytes -= len(r.payload)
	}
	q.tail = q.tail[n:]
	q.oldest = now
	return nil
}

// seal closes the open segment, whose content is durable already.
func (q *queue) seal() {
	if q.active != nil {
		_ = q.active.Close() // the content is synced, so an error loses nothing
		q.active = nil
	}
}

// giveUp ends writing to the last segment, and removes it if it has no record.
func (q *queue) giveUp() {
	q.seal()
	q.extend = false
	last := len(q.segments) - 1
	if last >= 0 && q.segments[last].size <= headerSize {
		_ = q.files.Remove(q.path(q.segments[last])) // if this fails, a later Create or Open finds it empty
		q.segments = q.segments[:last]
	}
}

// putAside removes a segment from the log. A segment with content is renamed for later
// inspection; one file is kept for each class. If the disk refuses, the file stays, and
// the next start finds it again.
func (q *queue) putAside(s segment) {
	path := q.path(s)
	if s.size <= headerSize {
		_ = q.files.Remove(path)
		return
	}
	entries, err := q.files.List(q.class)
	if err != nil {
		return
	}
	for _, e := range entries {
		if len(e.Name) > len(damagedSuffix) && e.Name[len(e.Name)-len(damagedSuffix):] == damagedSuffix {
			_ = q.files.Remove(q.class + "/" + e.Name)
		}
	}
	_ = q.files.Rename(path, path+damagedSuffix)
}
