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
	"meltwatch/bench/ledger"
)

// Ledger is what was made and what a broker received, by class, boot and seq.
// It is safe for concurrent use.
type Ledger struct {
	root string

	mu      sync.Mutex
	classes map[mqtt.Class]*ledger.Class[note]
	made    int
	// received are the records that came out of the outbox: history, and events.
	// Those are the ones that a crash may repeat.
	received ledger.Recent
	faults   []string // what should never happen, the first few
}

// note is what the ledger knows of a record besides its name.
type note struct {
	made time.Time // as far as its maker said; zero where it did not
	sum  uint32    // of its content
}

// Classes are the classes of records that are counted.
var Classes = []mqtt.Class{mqtt.ClassEvent, mqtt.ClassState, mqtt.ClassCurrent}

// NewLedger returns an empty ledger of the topics below root.
func NewLedger(root string) *Ledger {
	l := &Ledger{root: root, classes: map[mqtt.Class]*ledger.Class[note]{}}
	for _, class := range Classes {
		l.classes[class] = &ledger.Class[note]{}
	}
	return l
}

// Made notes that a boot's records up to seq exist since an instant.
func (l *Ledger) Made(class mqtt.Class, boot, seq uint64, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.classes[class]
	c.Entry(ledger.Name{Boot: boot, Seq: seq})
	entries := c.Boot(boot)
	for i := int(seq) - 1; i >= 0 && entries[i].Note.made.IsZero(); i-- {
		entries[i].Note.made = at
		l.made++
	}
}

func (l *Ledger) fault(format string, args ...any) {
	if len(l.faults) < 10 {
		l.faults = append(l.faults, fmt.Sprintf(format, args...))
	}
}

// Receive takes one message as it reached the broker.
func (l *Ledger) Receive(topic string, payload []byte) {
	name, history := strings.CutPrefix(strings.TrimPrefix(topic, l.root), "history/")
	class := mqtt.Class(name)
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.classes[class]
	if c == nil {
		return
	}
	records := []json.RawMessage{payload}
	if class == mqtt.ClassCurrent {
		var pack mqtt.Current
		if err := json.Unmarshal(payload, &pack); err != nil {
			l.fault("%s: %v", topic, err)
			return
		}
		records = pack.Samples
	}
	stream := ledger.Live
	if history {
		stream = ledger.History
	}
	if history || class == mqtt.ClassEvent {
		l.received.Add(time.Now(), len(records))
	}
	for _, record := range records {
		l.record(topic, c, stream, record)
	}
}

func (l *Ledger) record(topic string, c *ledger.Class[note], stream ledger.Stream, record []byte) {
	var stamp mqtt.Stamp
	if err := json.Unmarshal(record, &stamp); err != nil || stamp.Seq == 0 {
		l.fault("%s: no stamp in %.200s", topic, record)
		return
	}
	name := ledger.Name{Boot: stamp.Boot, Seq: stamp.Seq}
	e, first, err := c.Receive(name, stream)
	sum := content(record)
	if !first && e.Note.sum != sum {
		l.fault("%s: %s came twice, unlike: %.300s", topic, name, record)
	}
	if err != nil {
		l.fault("%s: %v", topic, err)
	}
	if first {
		e.Note.sum = sum
	}
}

// content is a checksum of a record without what only its way adds to it.
func content(record []byte) uint32 {
	return crc32.ChecksumIEEE(bytes.Replace(record, []byte(`,"historical":true`), nil, 1))
}

// ReceivedSince is how many records out of the outbox reached the broker since an
// instant; what is older is forgotten.
func (l *Ledger) ReceivedSince(since time.Time) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.received.Forget(since)
	return l.received.Since(since)
}

// Lost counts a boot's records that were made before an instant and never
// reached the broker, and names the first.
func (l *Ledger) Lost(class mqtt.Class, boot uint64, before time.Time) (n int, first uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, e := range l.classes[class].Boot(boot) {
		if e.Received || e.Note.made.IsZero() || !e.Note.made.Before(before) {
			continue
		}
		if n == 0 {
			first = uint64(i) + 1
		}
		n++
	}
	return n, first
}

// Sums are over all classes: records made, received, and deliveries beyond the first.
func (l *Ledger) Sums() (made, received, repeated int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.classes {
		received, repeated = received+c.Received, repeated+c.Repeated
	}
	return l.made, received, repeated
}

// Gaps counts a class's records that are missing below the newest received of
// their boot.
func (l *Ledger) Gaps(class mqtt.Class) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.classes[class].All() {
		if !e.Received {
			n++
		}
	}
	return n
}

// Class returns how many records of a class were received, and how many deliveries
// there were beyond the first.
func (l *Ledger) Class(class mqtt.Class) (received, repeated int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.classes[class].Received, l.classes[class].Repeated
}

// Faults are what should never happen, the first few.
func (l *Ledger) Faults() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.faults)
}
