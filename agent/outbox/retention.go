package outbox

import (
	"fmt"
	"strings"
	"time"
)

// condition is the state of the disk.
type condition struct {
	refusing bool
	err      error     // of the last round; nil without a fault
	retry    time.Time // the earliest time of the next attempt
}

// resting reports whether the next attempt is not due yet.
func (c condition) resting() bool { return c.refusing && time.Now().Before(c.retry) }

// credible is earlier than any valid time of this program: an earlier time of a file
// comes from an unset clock, and the file's age is unknown.
var credible = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// commit writes a queue's tail, unless the disk rests.
func (l *Log) commit(q *queue) {
	if len(q.tail) == 0 || l.disk.resting() {
		return
	}
	if l.gap {
		if l.save(); l.changed { // the disk refused the cursor
			return
		}
		l.gap = false
	}
	if err := q.commit(time.Now()); err != nil {
		l.fault(err)
	}
}

// fault records a fault of the disk, and reports the first one as an incident.
func (l *Log) fault(err error) {
	if !l.disk.refusing {
		l.tell(Incident{"disk", "fault", err.Error()})
	}
	l.disk = condition{true, err, time.Now().Add(retryEvery)}
	l.observer.Fault(err)
}

// recovered handles a round without a fault.
func (l *Log) recovered() {
	l.observer.OK()
	if l.disk.refusing {
		l.disk = condition{}
		l.tell(Incident{"disk", Recovered, "the disk takes records again"})
	}
}

// limitMemory commits early if too many records wait in memory. If the disk refuses
// them, it drops the oldest of the class with the lowest priority.
func (l *Log) limitMemory() {
	if !l.crowded() {
		return
	}
	for _, q := range l.queues {
		l.commit(q)
	}
	for l.crowded() {
		least := l.queues[0]
		for _, q := range l.queues {
			if len(q.tail) > 0 {
				least = q
			}
		}
		oldest := least.tail[0]
		least.tail[0] = record{} // release the payload
		least.tail = least.tail[1:]
		least.tailBytes -= len(oldest.payload)
		least.dropped += least.finish(oldest.number, oldest.number+1)
		l.changed = true
	}
}

// crowded reports whether too many records wait in memory.
func (l *Log) crowded() bool {
	records, bytes := 0, 0
	for _, q := range l.queues {
		records, bytes = records+len(q.tail), bytes+q.tailBytes
	}
	return records > l.settings.MemoryRecords || bytes > memoryBytes
}

// enforceRetention drops segments that are too old or exceed a bound: first each
// class's bounds, then the bound of all classes, lowest priority first.
func (l *Log) enforceRetention() {
	bounds := [classes]Retention{l.settings.Event, l.settings.State, l.settings.Current}
	now := time.Now()
	total := int64(0)
	for i, q := range l.queues {
		for len(q.alive()) > 0 && q.expired(q.alive()[0], bounds[i].Age, now) {
			l.drop(q)
		}
		for q.aliveBytes() > bounds[i].Bytes && len(q.alive()) > 1 {
			l.drop(q)
		}
		total += q.aliveBytes()
	}
	for i := classes - 1; i >= 0; i-- {
		for q := l.queues[i]; total > l.settings.Bytes && len(q.alive()) > 1; {
			total -= q.alive()[0].size
			l.drop(q)
		}
	}
}

// alive returns the segments from the first one with a record that is not done. Earlier
// segments are about to be deleted.
func (q *queue) alive() []segment {
	for i := range q.segments {
		if !q.done.covers(q.segments[i].first, q.end(i)) {
			return q.segments[i:]
		}
	}
	return nil
}

func (q *queue) aliveBytes() (n int64) {
	for _, s := range q.alive() {
		n += s.size
	}
	return n
}

func (q *queue) expired(s segment, age time.Duration, now time.Time) bool {
	return s.modified.After(credible) && now.Sub(s.modified) > age
}

// drop drops the oldest segment that is alive.
func (l *Log) drop(q *queue) {
	i := len(q.segments) - len(q.alive())
	q.dropped += q.finish(q.segments[i].first, q.end(i))
	l.changed = true
}

// save writes the cursor.
func (l *Log) save() {
	var marks [classes]mark
	for i, q := range l.queues {
		marks[i] = mark{q.next, q.done}
	}
	l.written, l.changed = time.Now(), false
	if err := writeCursor(l.files, marks); err != nil {
		l.changed = true
		l.fault(err)
	}
}

// retire deletes the segments that are done, except the one being written. The cursor
// is written first, so that a file that reappears after a power cut is known to be
// done. If the cursor cannot be written, the segments are deleted all the same, to make
// room.
func (l *Log) retire() {
	for _, q := range l.queues {
		for len(q.segments) > 0 && q.done.covers(q.segments[0].first, q.end(0)) {
			s := q.segments[0]
			if len(q.segments) == 1 && s.size < segmentSize && !s.damaged && q.extend {
				break
			}
			if len(q.segments) == 1 {
				q.seal()
				q.extend = false
			}
			l.remove(q, s)
			q.segments = q.segments[1:]
		}
	}
}

func (l *Log) remove(q *queue, s segment) {
	if s.damaged {
		q.putAside(s)
		return
	}
	if err := q.files.Remove(q.path(s)); err != nil {
		l.fault(fmt.Errorf("delete segment: %w", err))
	}
}

// note reports damage that was found while taking records.
func (l *Log) note(q *queue) {
	if len(q.damage) == 0 {
		return
	}
	l.changed = true
	l.tell(Incident{q.class, "damaged", strings.Join(q.damage, "; ")})
	q.damage = nil
}

// reportDrops reports the dropped records, at most once in reportEvery.
func (l *Log) reportDrops() {
	if time.Since(l.reportedDrops) < reportEvery {
		return
	}
	for _, q := range l.queues {
		if q.dropped > q.reported {
			l.reportedDrops = time.Now()
			l.tell(Incident{q.class, "dropped", fmt.Sprintf("%d records dropped: the outbox is full, or they were too old", q.dropped-q.reported)})
			q.reported = q.dropped
		}
	}
}
