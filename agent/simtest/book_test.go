package simtest

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"meltwatch/agent/outbox"
)

// book is what was made, what was promised, and what the broker received.
type book struct {
	*loop
	clock   *hostClock
	classes map[string]*account
	// acks of the last seconds, and since when the disk does not take the cursor.
	acks []ack
	// may is how many repetitions the contract allows by now.
	may, repeated int
}

type ack struct {
	at      time.Time
	records int
}

// account is one class's part of the book.
type account struct {
	boots [][]entry // by boot, then by seq − 1
	// newest record whose first delivery came on the topic of the class, and on
	// that of its history.
	live, history name
	// counted is what the agent itself said was dropped or lost.
	counted uint64
}

// name of a record, within its class.
type name struct{ boot, seq int }

func (n name) before(other name) bool {
	return n.boot < other.boot || n.boot == other.boot && n.seq < other.seq
}

// entry is one record.
type entry struct {
	made     time.Duration // of life
	boot     int           // of the kernel
	unsynced bool          // made before the clock was set
	jumped   bool          // made while the clock was wrong and did not know
	kept     bool          // is to be delivered, sooner or later
	promised bool          // is on the disk, as far as the outbox says
	received bool
}

func newBook(l *loop, clock *hostClock) *book {
	b := &book{loop: l, clock: clock, classes: map[string]*account{}}
	for _, class := range []string{outbox.Event, outbox.State, outbox.Current} {
		b.classes[class] = &account{boots: [][]entry{nil}}
	}
	return b
}

// start opens the page of a new boot.
func (b *book) start() {
	for _, a := range b.classes {
		a.boots = append(a.boots, nil)
	}
}

// made notes a record; kept says that it must not be lost.
func (b *book) made(class string, boot, seq uint64, kept bool) {
	page := &b.classes[class].boots[boot]
	if seq != uint64(len(*page))+1 {
		b.violated("%s %d of boot %d follows %d", class, seq, boot, len(*page))
	}
	*page = append(*page, entry{
		made: b.age(), boot: b.clock.boot, unsynced: !b.clock.synced, jumped: b.clock.jumped != 0, kept: kept,
	})
}

// find is a record by its payload, and its name.
func (b *book) find(class string, payload []byte) (*entry, name) {
	n := nameOf(payload)
	a := b.classes[class]
	if n.boot < 1 || n.boot >= len(a.boots) || n.seq < 1 || n.seq > len(a.boots[n.boot]) {
		b.violated("%s %v was never made: %.200s", class, n, payload)
		return &entry{}, n
	}
	return &a.boots[n.boot][n.seq-1], n
}

func nameOf(payload []byte) name { return name{number(payload, `"boot":`), number(payload, `"seq":`)} }

// number reads the whole number after a key of a JSON object.
func number(payload []byte, key string) int {
	digits := after(payload, key)
	end := 0
	for end < len(digits) && digits[end] >= '0' && digits[end] <= '9' {
		end++
	}
	n, err := strconv.Atoi(string(digits[:end]))
	if err != nil {
		return -1
	}
	return n
}

func after(payload []byte, key string) []byte {
	i := bytes.Index(payload, []byte(key))
	if i < 0 {
		return nil
	}
	return payload[i+len(key):]
}

// leaves checks that a record on its way out does not call itself unsynced when
// the clock has been set since.
func (b *book) leaves(payload []byte) {
	if !b.clock.synced || !unsynced(payload) {
		return
	}
	for _, record := range samples(payload) {
		if unsynced(record) && bytes.Contains(record, []byte(b.clock.kernel())) {
			b.violated("left unsynced though the clock is right: %.300s", record)
		}
	}
}

// unsynced reports whether records say that their clock was not set. The word
// alone is sought first: its first letter is rare in JSON, a quotation mark is not.
func unsynced(records []byte) bool {
	return bytes.Contains(records, []byte(`unsynced`)) && bytes.Contains(records, []byte(`"clock":"unsynced"`))
}

// samples are the records of one message.
func samples(payload []byte) [][]byte {
	list := after(payload, `"samples":[`)
	if list == nil {
		return [][]byte{payload}
	}
	return bytes.Split(bytes.TrimSuffix(list, []byte("]}")), []byte("},{"))
}

// receive is the broker's.
func (b *book) receive(topic string, payload []byte) {
	b.note(topic, payload)
	class, history := strings.CutPrefix(strings.TrimPrefix(topic, root), "history/")
	a := b.classes[class]
	if a == nil {
		return
	}
	for _, record := range samples(payload) {
		e, n := b.find(class, record)
		if e.received {
			b.repeated++
			continue
		}
		e.received = true
		last := &a.live
		if history {
			last = &a.history
		}
		if last.before(n) {
			*last = n
		} else {
			b.violated("%s: %s %v first delivered after %v", topic, class, n, *last)
		}
		b.checkTime(e, record)
	}
}

// checkTime holds a record's time against the instant of its making.
func (b *book) checkTime(e *entry, record []byte) {
	if e.jumped || b.clock.wrong(e.unsynced) || unsynced(record) {
		return
	}
	text, _, _ := bytes.Cut(after(record, `"time":"`), []byte(`"`))
	stamped, err := time.Parse(time.RFC3339Nano, string(text))
	if err != nil {
		b.violated("time of %.200s: %v", record, err)
		return
	}
	if off := stamped.Sub(b.began.Add(e.made)).Abs(); off > 2*time.Second {
		b.violated("stamped %s off: %.300s", off, record)
	}
}

// acked notes acknowledgements that reached the agent.
func (b *book) acked(records int) {
	b.acks = append(b.acks, ack{time.Now(), records})
}

// undone is how many acknowledgements a crash may undo: those since the cursor
// was last written, which is a second ago and a round, or longer while the disk
// refuses.
func (b *book) undone(refusing time.Time) (n int) {
	since := time.Now().Add(-2 * time.Second)
	if !refusing.IsZero() && refusing.Before(since) {
		since = refusing.Add(-2 * time.Second)
	}
	for _, a := range b.acks {
		if a.at.After(since) {
			n += a.records
		}
	}
	return n
}

// forget drops the acknowledgements that no crash can undo any more.
func (b *book) forget(refusing time.Time) {
	oldest := time.Now().Add(-time.Minute)
	if !refusing.IsZero() && refusing.Add(-time.Minute).Before(oldest) {
		oldest = refusing.Add(-time.Minute)
	}
	n := 0
	for n < len(b.acks) && b.acks[n].at.Before(oldest) {
		n++
	}
	b.acks = b.acks[n:]
}

// crash checks what a dying agent leaves: all that is older than the contract's
// window is on the disk, or was received. trouble is when the disk was last
// known not to take what it should.
func (b *book) crash(boot int, trouble time.Duration, overrun uint64) {
	for class, window := range map[string]time.Duration{outbox.Event: 700 * time.Millisecond, outbox.State: 3 * time.Second, outbox.Current: 3 * time.Second} {
		exposed := uint64(0)
		page := b.classes[class].boots[boot]
		for i := range page {
			e := &page[i]
			if e.kept && !e.received && !e.promised && e.made > trouble && b.age()-e.made > window {
				exposed++
			}
		}
		if exposed > overrun {
			b.violated("%d of %s made over %s before the crash are nowhere, %d were counted", exposed, class, window, overrun)
		}
	}
}

// close checks, after all has healed, that what was promised has arrived, or was
// counted.
func (b *book) close(boot int, overrun uint64) {
	for _, class := range []string{outbox.Event, outbox.State, outbox.Current} {
		a := b.classes[class]
		missing, first := uint64(0), name{}
		for number, page := range a.boots {
			for i, e := range page {
				late := e.made > b.age()-5*time.Second // on its way
				if !e.received && (e.promised || e.kept && number == boot && !late) {
					if missing == 0 {
						first = name{number, i + 1}
					}
					missing++
				}
			}
		}
		if missing > a.counted+overrun {
			b.violated("%d of %s are missing, from %v on; %d were counted as dropped or lost", missing, class, first, a.counted+overrun)
		}
	}
	if b.repeated > b.may {
		b.violated("%d records came twice; the contract allows %d", b.repeated, b.may)
	}
}

// made, promised and received records of all classes.
func (b *book) sums() (made, received int) {
	for _, a := range b.classes {
		for _, page := range a.boots {
			made += len(page)
			for _, e := range page {
				if e.received {
					received++
				}
			}
		}
	}
	return made, received
}
