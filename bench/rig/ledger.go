package rig

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"sync"
	"time"

	"meltwatch/agent/mqtt"
)

// Ledger is what was made and what a broker received, by class, boot and seq.
// It is safe for concurrent use.
type Ledger struct {
	mu      sync.Mutex
	root    string
	classes map[mqtt.Class]*class
	// received are the last seconds' records that came out of the outbox: history,
	// and events. Those are the ones that a crash may repeat.
	received []received
	faults   []string // what should never happen, the first few
}

type class struct {
	boots map[uint64][]entry // by seq − 1
	// newest is the record whose first delivery came last: live, and as history.
	newest [2]stampName
	made   int
	got    int
	twice  int
}

type stampName struct{ boot, seq uint64 }

func (n stampName) before(other stampName) bool {
	return n.boot < other.boot || n.boot == other.boot && n.seq < other.seq
}

// entry is one record.
type entry struct {
	made time.Time // as far as its maker said; zero where it did not
	got  bool
	sum  uint32 // of its content
}

type received struct {
	at      time.Time
	records int
}

// Classes are the classes of records that are counted.
var Classes = []mqtt.Class{mqtt.ClassEvent, mqtt.ClassState, mqtt.ClassCurrent}

func NewLedger(root string) *Ledger {
	l := &Ledger{root: root, classes: map[mqtt.Class]*class{}}
	for _, name := range Classes {
		l.classes[name] = &class{boots: map[uint64][]entry{}}
	}
	return l
}

// page is a boot's entries, as many as there are seqs so far.
func (c *class) page(boot, seq uint64) []entry {
	page := c.boots[boot]
	for uint64(len(page)) < seq {
		page = append(page, entry{})
	}
	c.boots[boot] = page
	return page
}

// Made notes that a boot's records up to seq exist since an instant.
func (l *Ledger) Made(class mqtt.Class, boot, seq uint64, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.classes[class]
	page := c.page(boot, seq)
	for i := int(seq) - 1; i >= 0 && page[i].made.IsZero(); i-- {
		page[i].made = at
		c.made++
	}
}

func (l *Ledger) fault(format string, args ...any) {
	if len(l.faults) < 10 {
		l.faults = append(l.faults, fmt.Sprintf(format, args...))
	}
}

// Receive takes one message as it reached the broker.
func (l *Ledger) Receive(topic string, payload []byte) {
	class, history := strings.CutPrefix(strings.TrimPrefix(topic, l.root), "history/")
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.classes[mqtt.Class(class)]
	if c == nil {
		return
	}
	records := []json.RawMessage{payload}
	if mqtt.Class(class) == mqtt.ClassCurrent {
		var pack mqtt.Current
		if err := json.Unmarshal(payload, &pack); err != nil {
			l.fault("%s: %v", topic, err)
			return
		}
		records = pack.Samples
	}
	stream := 0
	if history {
		stream = 1
	}
	if history || mqtt.Class(class) == mqtt.ClassEvent {
		l.received = append(l.received, received{time.Now(), len(records)})
	}
	for _, record := range records {
		l.record(topic, c, stream, record)
	}
}

func (l *Ledger) record(topic string, c *class, stream int, record []byte) {
	var stamp mqtt.Stamp
	if err := json.Unmarshal(record, &stamp); err != nil || stamp.Seq == 0 {
		l.fault("%s: no stamp in %.200s", topic, record)
		return
	}
	e := &c.page(stamp.Boot, stamp.Seq)[stamp.Seq-1]
	sum := content(record)
	if e.got {
		c.twice++
		if e.sum != sum {
			l.fault("%s: boot %d seq %d came twice, unlike: %.300s", topic, stamp.Boot, stamp.Seq, record)
		}
		return
	}
	e.got, e.sum = true, sum
	c.got++
	name := stampName{stamp.Boot, stamp.Seq}
	if !c.newest[stream].before(name) {
		l.fault("%s: boot %d seq %d first delivered after boot %d seq %d", topic, stamp.Boot, stamp.Seq, c.newest[stream].boot, c.newest[stream].seq)
		return
	}
	c.newest[stream] = name
}

// content is a checksum of a record without what only its way adds to it.
func content(record []byte) uint32 {
	return crc32.ChecksumIEEE(bytes.Replace(record, []byte(`,"historical":true`), nil, 1))
}

// ReceivedSince is how many records out of the outbox reached the broker since an
// instant; what is older is forgotten.
func (l *Ledger) ReceivedSince(since time.Time) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	old := 0
	for _, r := range l.received {
		if r.at.Before(since) {
			old++
			continue
		}
		n += r.records
	}
	l.received = l.received[old:]
	return n
}

// Lost counts a boot's records that were made before an instant and never
// reached the broker, and names the first.
func (l *Ledger) Lost(class mqtt.Class, boot uint64, before time.Time) (n int, first uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, e := range l.classes[class].boots[boot] {
		if e.got || e.made.IsZero() || !e.made.Before(before) {
			continue
		}
		if n == 0 {
			first = uint64(i) + 1
		}
		n++
	}
	return n, first
}

// Sums are over all classes.
func (l *Ledger) Sums() (made, got, twice int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.classes {
		made, got, twice = made+c.made, got+c.got, twice+c.twice
	}
	return made, got, twice
}

// Gaps counts a class's records that are missing below the newest received of
// their boot.
func (l *Ledger) Gaps(class mqtt.Class) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, page := range l.classes[class].boots {
		for _, e := range page {
			if !e.got {
				n++
			}
		}
	}
	return n
}

// Class is how many records of a class were received, and how many more than once.
func (l *Ledger) Class(class mqtt.Class) (got, twice int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.classes[class].got, l.classes[class].twice
}

// Faults are what should never happen, the first few.
func (l *Ledger) Faults() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.faults)
}
