// Package outbox keeps on disk what no broker has acknowledged yet.
//
// It is a log a class: event, state and current, in the order of their worth.
// Each record gets a number, rising by one within its class, and is handed out
// in that order until it is acknowledged. A log is a folder of segments of about
// 1 MiB; a segment is deleted whole, when all its records are acknowledged or
// dropped. docs/outbox-format.md draws the bytes and argues what a power cut can
// and cannot do to them.
//
// A record is in one of three conditions: waiting, held by the publisher that
// appended or took it, or done. Whoever holds a record ends that by Ack or
// Return. Only done is remembered across a restart: what was held then waits
// again, and so may be sent twice.
//
// Payloads are opaque bytes, at most MaxRecord long; Append keeps the slice it
// is given, and those that Take returns belong to the caller.
package outbox

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"meltwatch/durable"
)

// The classes by worth: when the outbox is full the last one's oldest records go
// first. Their number in a segment's header is their place here, from 1.
const (
	Event   = "event"
	State   = "state"
	Current = "current"

	classes = 3
)

var classNames = [classes]string{Event, State, Current}

// Retention of one class.
type Retention struct {
	Bytes int64         // on disk
	Age   time.Duration // of a segment's newest record
}

// Settings of an outbox.
type Settings struct {
	// Bytes bounds all segments together. A bound may be passed by the segment
	// that is being written, and for a second.
	Bytes int64
	// Bounds by class.
	Event, State, Current Retention
	// MemoryRecords bounds what waits in memory for a disk that does not take it.
	MemoryRecords int
}

// Observer is told how the disk fares.
type Observer interface {
	Beat()
	OK()
	Fault(error)
}

// Incident is something the plant's logbook should hold.
type Incident struct {
	Class string // or "disk"
	// What happened: fault, ok, dropped, damaged.
	What string
	// Cause in words.
	Cause string
}

const (
	// groupAge is how long a state or current record may wait for company before
	// it is committed.
	groupAge = time.Second
	// cursorEvery is how often the cursor is written at most.
	cursorEvery = time.Second
	// retryEvery is how often a disk that refused is asked again.
	retryEvery = 2 * time.Second
	// memoryBytes bounds the payloads that wait in memory for the disk.
	memoryBytes = 16 << 20
	// reportEvery spaces incidents of drops, which come by the thousand.
	reportEvery = time.Minute
)

// Log is the outbox.
//
// Its contract: an event is durable when Append returns. A state or a current
// record is durable when the next Sync returns, and at the latest with the first
// Append more than a second after its own. What is durable is handed out, in the
// order of its class, until it was acknowledged or dropped, whatever happens to
// power or process; and nothing else ever is. An acknowledgement is durable a
// second later, so that a cut repeats the records of its last second and those
// that were held, and no others. Dropped are: by the bounds, whole segments from
// the oldest on; records that damage to a file destroyed; nothing else. Both are
// counted and told.
//
// While the disk refuses (full, read-only, failing) the contract of durability
// is suspended, Fault is told, and records wait in memory up to MemoryRecords,
// the least worthy and oldest dropped first. Once the disk takes them again they
// go there in their order, and OK is told.
//
// A Log is safe for concurrent use; each method may wait for the disk.
type Log struct {
	files    durable.Files
	settings Settings
	observer Observer
	tell     func(Incident) // called with the lock held: must not call back

	mu      sync.Mutex
	queues  [classes]*queue
	disk    condition
	written time.Time // the cursor, last
	news    bool      // done changed since
	// gap: opening found numbers that were given out and never durable. The cursor
	// must say so before any record comes after them, or a second cut would make
	// them look like records that were lost.
	gap  bool
	told time.Time // drops, last
}

// Open opens the outbox in files. It reads the folders, the cursor and the
// newest segment of each class; what is wrong with any other shows when it is
// handed out. tell may be called from any method and must not call back; it may
// be nil.
func Open(files durable.Files, settings Settings, log *slog.Logger, observer Observer, tell func(Incident)) (*Log, error) {
	if tell == nil {
		tell = func(Incident) {}
	}
	l := &Log{files: files, settings: settings, observer: observer, tell: tell}
	l.news = true // what opening finds out goes into the next cursor
	marks, err := readCursor(files)
	if err != nil {
		// Without it everything is sent once more, which loses nothing.
		log.Warn("outbox cursor not used", "err", err)
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

// queue is nil for a class that does not exist.
func (l *Log) queue(class string) *queue {
	for _, q := range l.queues {
		if q.class == class {
			return q
		}
	}
	return nil
}

// Append adds a record as the newest of its class, held by the caller, and
// returns its number; 0 for one that cannot be kept: of an unknown class, empty
// or too long. An event is durable on return.
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

// Take hands out up to most of the oldest waiting records of a class.
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

// Ack says that records were delivered: they are done.
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
			l.news = true
		}
	}
}

// Return says that records were not delivered: they wait again, in their place.
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

// Sync commits what was appended, applies the bounds, writes the cursor when it
// is due, and deletes what is done with. The owner calls it at least once a
// second.
func (l *Log) Sync() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sync(false)
}

// Close commits and writes the cursor. The log must not be used afterwards.
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

// Counters by class: waiting (held ones included), dropped by a bound, lost to
// damage, bytes and segments on disk.
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

// sync is one round; at the end it is due to the cursor in any case.
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
	if l.news && due || l.disk.refusing { // whose cursor is also the trial
		l.save()
		l.retire()
	}
	if l.disk.err == nil {
		l.recovered()
	}
}
