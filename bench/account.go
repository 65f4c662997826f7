package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"strings"
	"sync"
	"time"

	"meltwatch/agent/message"
)

// account is what was made and what a broker received, by class, boot and seq.
// It is safe for concurrent use.
type account struct {
	mu      sync.Mutex
	root    string
	classes map[message.Class]*classAccount
	// received are the last seconds' records that came out of the outbox: history,
	// and events. Those are the ones that a crash may repeat.
	received []received
	faults   []string // what should never happen, the first few
}

type classAccount struct {
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

var classes = []message.Class{message.ClassEvent, message.ClassState, message.ClassCurrent}

func newAccount(root string) *account {
	a := &account{root: root, classes: map[message.Class]*classAccount{}}
	for _, class := range classes {
		a.classes[class] = &classAccount{boots: map[uint64][]entry{}}
	}
	return a
}

// page is a boot's entries, as many as there are seqs so far.
func (c *classAccount) page(boot, seq uint64) []entry {
	page := c.boots[boot]
	for uint64(len(page)) < seq {
		page = append(page, entry{})
	}
	c.boots[boot] = page
	return page
}

// made notes that a boot's records up to seq exist since an instant.
func (a *account) made(class message.Class, boot, seq uint64, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.classes[class]
	page := c.page(boot, seq)
	for i := int(seq) - 1; i >= 0 && page[i].made.IsZero(); i-- {
		page[i].made = at
		c.made++
	}
}

func (a *account) fault(format string, args ...any) {
	if len(a.faults) < 10 {
		a.faults = append(a.faults, fmt.Sprintf(format, args...))
	}
}

// receive takes one message as it reached the broker.
func (a *account) receive(topic string, payload []byte) {
	class, history := strings.CutPrefix(strings.TrimPrefix(topic, a.root), "history/")
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.classes[message.Class(class)]
	if c == nil {
		return
	}
	records := []json.RawMessage{payload}
	if message.Class(class) == message.ClassCurrent {
		var pack message.Current
		if err := json.Unmarshal(payload, &pack); err != nil {
			a.fault("%s: %v", topic, err)
			return
		}
		records = pack.Samples
	}
	stream := 0
	if history {
		stream = 1
	}
	if history || message.Class(class) == message.ClassEvent {
		a.received = append(a.received, received{time.Now(), len(records)})
	}
	for _, record := range records {
		a.record(topic, c, stream, record)
	}
}

func (a *account) record(topic string, c *classAccount, stream int, record []byte) {
	var stamp message.Stamp
	if err := json.Unmarshal(record, &stamp); err != nil || stamp.Seq == 0 {
		a.fault("%s: no stamp in %.200s", topic, record)
		return
	}
	e := &c.page(stamp.Boot, stamp.Seq)[stamp.Seq-1]
	sum := content(record)
	if e.got {
		c.twice++
		if e.sum != sum {
			a.fault("%s: boot %d seq %d came twice, unlike: %.300s", topic, stamp.Boot, stamp.Seq, record)
		}
		return
	}
	e.got, e.sum = true, sum
	c.got++
	name := stampName{stamp.Boot, stamp.Seq}
	if !c.newest[stream].before(name) {
		a.fault("%s: boot %d seq %d first delivered after boot %d seq %d", topic, stamp.Boot, stamp.Seq, c.newest[stream].boot, c.newest[stream].seq)
		return
	}
	c.newest[stream] = name
}

// content is a checksum of a record without what only its way adds to it.
func content(record []byte) uint32 {
	return crc32.ChecksumIEEE(bytes.Replace(record, []byte(`,"historical":true`), nil, 1))
}

// receivedSince is how many records out of the outbox reached the broker since an
// instant; what is older is forgotten.
func (a *account) receivedSince(since time.Time) (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	old := 0
	for _, r := range a.received {
		if r.at.Before(since) {
			old++
			continue
		}
		n += r.records
	}
	a.received = a.received[old:]
	return n
}

// lost counts a boot's records that were made before an instant and never
// reached the broker, and names the first.
func (a *account) lost(class message.Class, boot uint64, before time.Time) (n int, first uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, e := range a.classes[class].boots[boot] {
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

// sums over all classes.
func (a *account) sums() (made, got, twice int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.classes {
		made, got, twice = made+c.made, got+c.got, twice+c.twice
	}
	return made, got, twice
}

// gaps counts a class's records that are missing below the newest received of
// their boot.
func (a *account) gaps(class message.Class) (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, page := range a.classes[class].boots {
		for _, e := range page {
			if !e.got {
				n++
			}
		}
	}
	return n
}
