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

	"meltwatch/agent/delivery/ledger"
	"meltwatch/agent/message"
)

// Ledger records what was made and what a broker received, by class, boot and seq. It
// is safe for concurrent use.
type Ledger struct {
	root string

	mu      sync.Mutex
	classes map[message.Class]*ledger.Class[note]
	made    int
	// received counts the records from the outbox, which are history and events: a crash
	// may repeat these.
	received ledger.Recent
	faults   []string // breaches of the contract, the first few
}

// note is what the ledger keeps of a record besides its name.
type note struct {
	made time.Time // as its maker reported; zero if it did not
	sum  uint32    // checksum of its content
}

// NewLedger returns an empty ledger for the topics below root.
func NewLedger(root string) *Ledger {
	l := &Ledger{root: root, classes: map[message.Class]*ledger.Class[note]{}}
	for _, class := range message.Classes() {
		l.classes[class] = &ledger.Class[note]{}
	}
	return l
}

// Made notes that the records of a boot up to seq were made by an instant.
func (l *Ledger) Made(class message.Class, boot, seq uint64, at time.Time) {
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
	name, history := strings.CutPrefix(strings.TrimPrefix(topic, l.root), message.TopicHistory)
	class := message.Class(name)
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.classes[class]
	if c == nil {
		return
	}
	records := []json.RawMessage{payload}
	if class == message.ClassCurrent {
		var pack message.Current
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
	if history || class == message.ClassEvent {
		l.received.Add(time.Now(), len(records))
	}
	for _, record := range records {
		l.record(topic, c, stream, record)
	}
}

func (l *Ledger) record(topic string, c *ledger.Class[note], stream ledger.Stream, record []byte) {
	var stamp message.Stamp
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

// content is a checksum of a record without its mark as history.
func content(record []byte) uint32 {
	return crc32.ChecksumIEEE(bytes.Replace(record, []byte(`,"historical":true`), nil, 1))
}

// ReceivedSince counts the records from the outbox that reached the broker since an
// instant, and forgets older ones.
func (l *Ledger) ReceivedSince(since time.Time) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.received.Forget(since)
	return l.received.Since(since)
}

// Lost counts the records of a boot that were made before an instant and never reached
// the broker, and returns the seq of the first.
func (l *Ledger) Lost(class message.Class, boot uint64, before time.Time) (n int, first uint64) {
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

// Sums counts over all classes: records made, records received, and deliveries beyond
// the first.
func (l *Ledger) Sums() (made, received, repeated int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.classes {
		received, repeated = received+c.Received, repeated+c.Repeated
	}
	return l.made, received, repeated
}

// Gaps counts the missing records of a class below the newest received one of their
// boot.
func (l *Ledger) Gaps(class message.Class) (n int) {
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
func (l *Ledger) Class(class message.Class) (received, repeated int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.classes[class].Received, l.classes[class].Repeated
}

// Faults returns the first few breaches of the contract.
func (l *Ledger) Faults() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.faults)
}
