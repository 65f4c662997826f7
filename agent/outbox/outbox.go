// Package outbox stores on disk the records that no broker has acknowledged yet.
//
// It has one log for each class: event, state and current, in order of priority. Each
// record gets a number, rising by one within its class, and is returned in that order
// until it is acknowledged. A log is a folder of segments of about 1 MiB. A segment is
// deleted as a whole when all its records are acknowledged or dropped.
// docs/outbox-format.md shows the bytes and the effects of a power cut.
//
// A record is waiting, held by the publisher that appended or took it, or done. The
// publisher ends holding with Ack or Return. Only done survives a restart: a record
// that was held waits again, and may be sent twice.
//
// Payloads are opaque, at most MaxRecord bytes long. Append keeps its slice; the slices
// that Take returns belong to the caller.
package outbox

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"meltwatch/durable"
)

// The classes in order of priority: when the outbox is full, the oldest records of the
// last class are dropped first. A segment's header holds the class's position in this
// list, from 1.
const (
	Event   = "event"
	State   = "state"
	Current = "current"

	classes = 3
)

var classNames = [classes]string{Event, State, Current}

// Retention bounds one class.
type Retention struct {
	Bytes int64         // on disk
	Age   time.Duration // of a segment's newest record
}

// Settings configure an outbox.
type Settings struct {
	// Bytes bounds all segments together. A bound may be exceeded by the segment that
	// is being written, and for a second.
	Bytes int64
	// Event, State and Current bound the classes.
	Event, State, Current Retention
	// MemoryRecords bounds the records in memory while the disk refuses writes.
	MemoryRecords int
}

// Observer receives the status of the disk.
type Observer interface {
	Beat()
	OK()
	Fault(error)
}

// Incident is an event of the outbox that the plant's logbook should record.
type Incident struct {
	Class string // or "disk"
	// What is the kind: fault, ok, dropped or damaged.
	What string
	// Cause describes it.
	Cause string
}

// Recovered is the kind of an incident that ends a fault.
const Recovered = "ok"

const (
	// groupAge is how long a state or current record may wait for others before they
	// are committed together.
	groupAge = time.Second
	// cursorEvery is the least interval between writes of the cursor.
	cursorEvery = time.Second
	// retryEvery is the interval of attempts while the disk refuses writes.
	retryEvery = 2 * time.Second
	// memoryBytes bounds the payloads in memory that are not on disk yet.
	memoryBytes = 16 << 20
	// reportEvery is the least interval between incidents of drops, which may come by
	// the thousand.
	reportEvery = time.Minute
)

// Log is the outbox.
//
// Its contract: an event is durable when Append returns. A state or current record is
// durable when the next Sync returns, at the latest with the first Append more than a
// second after its own. A durable record is returned, in the order of its class, until
// it is acknowledged or dropped, across power cuts and crashes. No other record is
// returned after a restart. An acknowledgement is durable a second later. A power cut
// therefore repeats the records acknowledged in the last second and those that were
// held, and no others. Records are lost in two ways only: the bounds drop whole
// segments, the oldest first, and damage to a file destroys records. Both are counted
// and reported.
//
// While the disk refuses writes (full, read-only, failing), records are not durable,
// Fault is reported, and records wait in memory up to MemoryRecords; the oldest of the
// class with the lowest priority are dropped first. Once the disk accepts writes again,
// the records are written in order, and OK is reported.
//
// A Log is safe for concurrent use; each method may wait for the disk.
type Log struct {
	files    durable.Files
	settings Settings
	observer Observer
	tell     func(Incident) // called with the lock held; must not call the log

	mu      sync.Mutex
	queues  [classes]*queue
	disk    condition
	written time.Time // when the cursor was last written
	changed bool      // the cursor's content has changed since
	// gap reports whether Open found numbers that were assigned and never durable.
	// These must be in the cursor before a later record is written; otherwise they
	// would look like lost records after a second power cut.
	gap           bool
	reportedDrops time.Time // when drops were last reported
}

// Open opens the outbox in files. It reads the folders, the cursor and the newest
// segment of each class; damage to another segment is found when its records are taken.
// tell may be called from any method and must not call the log; it may be nil.
func Open(files durable.Files, settings Settings, log *slog.Logger, observer Observer, tell func(Incident)) (*Log, error) {
	if tell == nil {
		tell = func(Incident) {}
	}
	l := &Log{files: files, settings: settings, observer: observer, tell: tell}
	l.changed = true // the next cursor stores what opening finds
	marks, err := readCursor(files)
	if err != nil {
		// Without the cursor all records are sent again; none is lost.
		log.Warn("outbox cursor ignored", "err", err)
	}
	for i, class := range classNames {
		l.queues[i] = newQueue(files, class, byte(i+1))
		if err := l.queues[i].open(marks[i]); err != nil {
			return nil, fmt.Errorf("open outbox: %w", err)
		}
		l.gap = l.gap || l.queues[i].gap
	}
	return l, nil
}

// queue returns the queue of a class, or nil for an unknown class.
func (l *Log) queue(class string) *queue {
	for _, q := range l.queues {
		if q.class == class {
			return q
		}
	}
	return nil
}

// Append adds a record as the newest of its class, held by the caller, and returns its
// number. It returns 0 for a record of an unknown class, an empty one or one that is
// too long. An event is durable on return.
func (l *Log) Append(class string, payload []byte) (number uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	q := l.queue(class)
	if q == nil {
		return 0
	}
	if len(payload) == 0 || len(payload) > MaxRecord {
		q.dropped++
		return 0
	}
	number = q.append(payload, time.Now())
	if class == Event || time.Since(q.oldest) >= groupAge || q.tailBytes >= segmentSize {
		l.commit(q)
	}
	l.limitMemory()
	return number
}

// Take holds and returns up to most of the oldest waiting records of a class.
func (l *Log) Take(class string, most int) (numbers []uint64, payloads [][]byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	q := l.queue(class)
	if q == nil {
		return nil, nil
	}
	numbers, payloads, err := q.take(most)
	if err != nil {
		l.fault(err)
	}
	l.note(q)
	return numbers, payloads
}

// Ack marks delivered records as done.
func (l *Log) Ack(class string, numbers []uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	q := l.queue(class)
	if q == nil {
		return
	}
	for _, n := range numbers {
		if n > 0 && n < q.next {
			q.finish(n, n+1)
			l.changed = true
		}
	}
}

// Return returns held records that were not delivered: they wait again, in their
// places.
func (l *Log) Return(class string, numbers []uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	q := l.queue(class)
	if q == nil {
		return
	}
	for _, n := range numbers {
		q.held.cut(n, n+1)
	}
}

// Sync commits appended records, applies the bounds, writes the cursor when it is due,
// and deletes segments that are done. The owner calls it at least once a second.
func (l *Log) Sync() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sync(false)
}

// Close commits all records and writes the cursor. The log must not be used afterwards.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sync(true)
	for _, q := range l.queues {
		q.seal()
	}
	if l.disk.err != nil {
		return fmt.Errorf("close outbox: %w", l.disk.err)
	}
	return nil
}

// Counters returns, for each class, the records waiting (including held ones), dropped
// by a bound and lost to damage, and the bytes and segments on disk.
func (l *Log) Counters() map[string]uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	counters := make(map[string]uint64, 5*classes+1)
	unwritten := 0
	for _, q := range l.queues {
		counters[q.counted.waiting] = q.next - 1 - q.done.size()
		counters[q.counted.dropped] = q.dropped
		counters[q.counted.lost] = q.lost
		counters[q.counted.bytes] = uint64(q.bytes())
		counters[q.counted.segments] = uint64(len(q.segments))
		unwritten += len(q.tail)
	}
	counters["unwritten"] = uint64(unwritten)
	return counters
}

// sync does one round; atEnd, the cursor is written in any case.
func (l *Log) sync(atEnd bool) {
	l.observer.Beat()
	l.enforceRetention()
	l.reportDrops()
	if l.disk.resting() && !atEnd {
		return
	}
	l.disk.err, l.disk.retry = nil, time.Time{}
	for _, q := range l.queues {
		l.commit(q)
	}
	due := atEnd || time.Since(l.written) >= cursorEvery
	if l.changed && due || l.disk.refusing { // while the disk refuses writes, the cursor is the test
		l.save()
		l.retire()
	}
	if l.disk.err == nil {
		l.recovered()
	}
}
