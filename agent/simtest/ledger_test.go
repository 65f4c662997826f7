package simtest

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"meltwatch/agent/delivery/ledger"
	"meltwatch/agent/message"
)

// records is what was made, what was promised, and what the broker received.
type records struct {
	*loop
	clock   *hostClock
	classes map[message.Class]*account
	// acks of the last seconds, and since when the disk does not take the cursor.
	acks []ack
	// may is how many repetitions the contract allows by now.
	may int
}

type ack struct {
	at      time.Time
	records int
}

// account is one class's part of the book.
type account struct {
	ledger.Class[note]
	// counted is what the agent itself said was dropped or lost.
	counted uint64
}

// entry is one record.
type entry = ledger.Entry[note]

// note is what the book keeps of a record.
type note struct {
	made     time.Duration // of the simulated day; 0 for a record that was never made
	unsynced bool          // made before the clock was set
	jumped   bool          // made while the clock was wrong and did not know
	kept     bool          // is to be delivered, sooner or later
	promised bool          // is on the disk, as far as the outbox says
}

func newRecords(l *loop, clock *hostClock) *records {
	b := &records{loop: l, clock: clock, classes: map[message.Class]*account{}}
	for _, class := range message.Classes() {
		b.classes[class] = &account{}
	}
	return b
}

// made notes a record; kept says that it must not be lost.
func (b *records) made(class message.Class, n ledger.Name, kept bool) {
	a := b.classes[class]
	if have := len(a.Boot(n.Boot)); n.Seq != uint64(have)+1 {
		b.violated("%s %s follows %d", class, n, have)
	}
	a.Entry(n).Note = note{
		made: b.age(), unsynced: !b.clock.synced, jumped: b.clock.jumped != 0, kept: kept,
	}
}

// find is a record by its payload, and its name.
func (b *records) find(class message.Class, payload []byte) (*entry, ledger.Name) {
	n := nameOf(payload)
	e := b.classes[class].Find(n)
	if e == nil || e.Note.made == 0 {
		b.violated("%s %s was never made: %.200s", class, n, payload)
		return &entry{}, n
	}
	return e, n
}

func nameOf(payload []byte) ledger.Name {
	return ledger.Name{Boot: number(payload, `"boot":`), Seq: number(payload, `"seq":`)}
}

// number reads the whole number after a key of a JSON object; 0 if there is none.
func number(payload []byte, key string) uint64 {
	digits := after(payload, key)
	end := 0
	for end < len(digits) && digits[end] >= '0' && digits[end] <= '9' {
		end++
	}
	n, err := strconv.ParseUint(string(digits[:end]), 10, 64)
	if err != nil {
		return 0
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
func (b *records) leaves(payload []byte) {
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
func (b *records) receive(topic string, payload []byte) {
	name, history := strings.CutPrefix(strings.TrimPrefix(topic, root), message.TopicHistory)
	class := message.Class(name)
	a := b.classes[class]
	if a == nil {
		b.note(topic, nil) // health counts the goroutines of all that runs beside this day
		return
	}
	b.note(topic, payload)
	stream := ledger.Live
	if history {
		stream = ledger.History
	}
	for _, record := range samples(payload) {
		e, n := b.find(class, record)
		if e.Note.made == 0 {
			return
		}
		_, first, err := a.Receive(n, stream)
		if err != nil {
			b.violated("%s: %s %v", topic, class, err)
		}
		if first {
			b.checkTime(e, record)
		}
	}
}

// checkTime holds a record's time against the instant of its making.
func (b *records) checkTime(e *entry, record []byte) {
	if e.Note.jumped || b.clock.wrong(e.Note.unsynced) || unsynced(record) {
		return
	}
	text, _, _ := bytes.Cut(after(record, `"time":"`), []byte(`"`))
	stamped, err := time.Parse(time.RFC3339Nano, string(text))
	if err != nil {
		b.violated("time of %.200s: %v", record, err)
		return
	}
	if off := stamped.Sub(b.began.Add(e.Note.made)).Abs(); off > 2*time.Second {
		b.violated("stamped %s off: %.300s", off, record)
	}
}

// acked notes acknowledgements that reached the agent.
func (b *records) acked(records int) {
	b.acks = append(b.acks, ack{time.Now(), records})
}

// undone is how many acknowledgements a crash may undo: those since the cursor
// was last written, which is a second ago and a round, or longer while the disk
// refuses.
func (b *records) undone(refusing time.Time) (n int) {
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
func (b *records) forget(refusing time.Time) {
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
func (b *records) crash(boot uint64, trouble time.Duration, overrun uint64) {
	for class, window := range map[message.Class]time.Duration{message.ClassEvent: 700 * time.Millisecond, message.ClassState: 3 * time.Second, message.ClassCurrent: 3 * time.Second} {
		exposed := uint64(0)
		for _, e := range b.classes[class].Boot(boot) {
			n := e.Note
			if n.kept && !e.Received && !n.promised && n.made > trouble && b.age()-n.made > window {
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
func (b *records) close(boot, overrun uint64) {
	for _, class := range message.Classes() {
		a := b.classes[class]
		missing, first := uint64(0), ledger.Name{}
		for n, e := range a.All() {
			late := e.Note.made > b.age()-5*time.Second // on its way
			if !e.Received && (e.Note.promised || e.Note.kept && n.Boot == boot && !late) {
				if missing == 0 {
					first = n
				}
				missing++
			}
		}
		if missing > a.counted+overrun {
			b.violated("%d of %s are missing, from %s on; %d were counted as dropped or lost", missing, class, first, a.counted+overrun)
		}
	}
	if repeated := b.repeated(); repeated > b.may {
		b.violated("%d records came twice; the contract allows %d", repeated, b.may)
	}
}

// repeated is how many deliveries came beyond the first.
func (b *records) repeated() (n int) {
	for _, a := range b.classes {
		n += a.Repeated
	}
	return n
}

// sums are the records made and received, of all classes.
func (b *records) sums() (made, received int) {
	for _, a := range b.classes {
		for range a.All() {
			made++
		}
		received += a.Received
	}
	return made, received
}
