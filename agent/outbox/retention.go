package outbox

import (
	"fmt"
	"strings"
	"time"
)

// condition is how the disk fares.
type condition struct {
	refusing bool
	err      error     // of the last round; nil when it went well
	retry    time.Time // no sooner is a refusing disk asked again
}

// resting reports whether the disk refused a moment ago.
func (c condition) resting() bool { return c.refusing && time.Now().Before(c.retry) }

// credible is before any instant at which this program can run: a file stamped
// earlier was written under a clock that nobody had set, and its age is unknown.
var credible = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// commit writes a queue's tail, unless the disk refused a moment ago.
func (l *Log) commit(q *queue) {
	if len(q.tail) == 0 || l.disk.resting() {
		return
	}
	if l.gap {
		if l.save(); l.news { // it was refused
			return
		}
		l.gap = false
	}
	if err := q.commit(time.Now()); err != nil {
		l.fault(err)
	}
}

// fault notes what the disk refused, and tells it when that begins.
func (l *Log) fault(err error) {
	if !l.disk.refusing {
		l.tell(Incident{"disk", "fault", err.Error()})
	}
	l.disk = condition{true, err, time.Now().Add(retryEvery)}
	l.observer.Fault(err)
}

// recovered notes a round without a fault.
func (l *Log) recovered() {
	l.observer.OK()
	if l.disk.refusing {
		l.disk = condition{}
		l.tell(Incident{"disk", "ok", "the disk takes records again"})
	}
}

// limitMemory commits early what waits for the disk beyond the bound, and drops
// what the disk does not take: the oldest of the least worthy class.
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
		least.tail[0] = record{} // let go of the payload
		least.tail = least.tail[1:]
		least.tailBytes -= len(oldest.payload)
		least.dropped += least.finish(oldest.number, oldest.number+1)
		l.news = true
	}
}

// crowded reports whether more waits for the disk than may.
func (l *Log) crowded() bool {
	records, bytes := 0, 0
	for _, q := range l.queues {
		records, bytes = records+len(q.tail), bytes+q.tailBytes
	}
	return records > l.settings.MemoryRecords || bytes > memoryBytes
}

// enforceRetention drops segments that are too old, or too many: of a class, then of all,
// the least worthy class first.
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

// alive is the segments that hold more than what is done with; those before
// them are about to be deleted.
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

// drop gives up the oldest segment that is alive.
func (l *Log) drop(q *queue) {
	i := len(q.segments) - len(q.alive())
	q.dropped += q.finish(q.segments[i].first, q.end(i))
	l.news = true
}

// save writes the cursor.
func (l *Log) save() {
	var marks [classes]mark
	for i, q := range l.queues {
		marks[i] = mark{q.next, q.done}
	}
	l.written, l.news = time.Now(), false
	if err := writeCursor(l.files, marks); err != nil {
		l.news = true
		l.fault(err)
	}
}

// retire deletes the segments that are done with, all but the one that is being
// written. It comes after the cursor, so that a file that a power cut brings back
// is known to be done with; where the cursor cannot be written, making room goes
// first.
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

// note tells damage that handing out came upon.
func (l *Log) note(q *queue) {
	if len(q.damage) == 0 {
		return
	}
	l.news = true
	l.tell(Incident{q.class, "damaged", strings.Join(q.damage, "; ")})
	q.damage = nil
}

// reportDrops tells, now and then, what the bounds cost.
func (l *Log) reportDrops() {
	if time.Since(l.told) < reportEvery {
		return
	}
	for _, q := range l.queues {
		if q.dropped > q.told {
			l.told = time.Now()
			l.tell(Incident{q.class, "dropped", fmt.Sprintf("%d records dropped: the outbox is full, or they were too old", q.dropped-q.told)})
			q.told = q.dropped
		}
	}
}
