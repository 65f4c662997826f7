package simtest

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"meltwatch/agent/delivery/ledger"
	"meltwatch/agent/message"
)

// records holds the records that were made, the delivery guarantees, and what the
// broker received.
type records struct {
	*loop
	clock   *hostClock
	classes map[message.Class]*account
	// acks of the last seconds, and since when the disk refuses the cursor.
	acks []ack
	// may is the number of repetitions that the contract allows so far.
	may int
}

type ack struct {
	at      time.Time
	records int
}

// account holds the records of one class.
type account struct {
	ledger.Class[note]
	// counted is the number of records that the agent counted as dropped or lost.
	counted uint64
}

// entry is one record.
type entry = ledger.Entry[note]

// note is the note of a record in the ledger.
type note struct {
	made     time.Duration // of the simulated day; 0 for a record that was never made
	unsynced bool          // made before the clock was set
	jumped   bool          // made while the clock was wrong and did not know
	kept     bool          // must be delivered
	promised bool          // on the disk according to the outbox
}

func newRecords(l *loop, clock *hostClock) *records {
	b := &records{loop: l, clock: clock, classes: map[message.Class]*account{}}
	for _, class := range message.Classes() {
		b.classes[class] = &account{}
	}
	return b
}

// made records a new record; kept reports whether it must be delivered.
func (r *records) made(class message.Class, n ledger.Name, kept bool) {
	a := r.classes[class]
	if have := len(a.Boot(n.Boot)); n.Seq != uint64(have)+1 {
		r.violated("%s %s follows %d", class, n, have)
	}
	a.Entry(n).Note = note{
		made: r.age(), unsynced: !r.clock.synced, jumped: r.clock.jumped != 0, kept: kept,
	}
}

// find returns the entry and the name of a record.
func (r *records) find(class message.Class, payload []byte) (*entry, ledger.Name) {
	n := nameOf(payload)
	e := r.classes[class].Find(n)
	if e == nil || e.Note.made == 0 {
		r.violated("%s %s was never made: %.200s", class, n, payload)
		return &entry{}, n
	}
	return e, n
}

func nameOf(payload []byte) ledger.Name {
	return ledger.Name{Boot: number(payload, `"boot":`), Seq: number(payload, `"seq":`)}
}

// number reads the integer after a key of a JSON object; 0 without one.
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

// leaves checks that a published record is not unsynced if the clock has been set.
func (r *records) leaves(payload []byte) {
	if !r.clock.synced || !unsynced(payload) {
		return
	}
	for _, record := range samples(payload) {
		if unsynced(record) && bytes.Contains(record, []byte(r.clock.kernel())) {
			r.violated("left unsynced though the clock is right: %.300s", record)
		}
	}
}

// unsynced reports whether a record is marked as unsynced. It searches the word without
// a quotation mark first, which is faster because its first letter is rare in JSON.
func unsynced(records []byte) bool {
	return bytes.Contains(records, []byte(`unsynced`)) && bytes.Contains(records, []byte(`"clock":"unsynced"`))
}

// samples returns the records of one message.
func samples(payload []byte) [][]byte {
	list := after(payload, `"samples":[`)
	if list == nil {
		return [][]byte{payload}
	}
	return bytes.Split(bytes.TrimSuffix(list, []byte("]}")), []byte("},{"))
}

// receive handles a message at the broker.
func (r *records) receive(topic string, payload []byte) {
	name, history := strings.CutPrefix(strings.TrimPrefix(topic, root), message.TopicHistory)
	class := message.Class(name)
	a := r.classes[class]
	if a == nil {
		r.note(topic, nil) // health counts goroutines, also those of other days
		return
	}
	r.note(topic, payload)
	stream := ledger.Live
	if history {
		stream = ledger.History
	}
	for _, record := range samples(payload) {
		e, n := r.find(class, record)
		if e.Note.made == 0 {
			return
		}
		_, first, err := a.Receive(n, stream)
		if err != nil {
			r.violated("%s: %s %v", topic, class, err)
		}
		if first {
			r.checkTime(e, record)
		}
	}
}

// checkTime compares a record's time with the instant at which it was made.
func (r *records) checkTime(e *entry, record []byte) {
	if e.Note.jumped || r.clock.wrong(e.Note.unsynced) || unsynced(record) {
		return
	}
	text, _, _ := bytes.Cut(after(record, `"time":"`), []byte(`"`))
	stamped, err := time.Parse(time.RFC3339Nano, string(text))
	if err != nil {
		r.violated("time of %.200s: %v", record, err)
		return
	}
	if off := stamped.Sub(r.began.Add(e.Note.made)).Abs(); off > 2*time.Second {
		r.violated("stamped %s off: %.300s", off, record)
	}
}

// acked counts acknowledgements that reached the agent.
func (r *records) acked(records int) {
	r.acks = append(r.acks, ack{time.Now(), records})
}

// undone is the number of acknowledgements that a crash may lose: those since the last
// write of the cursor, a second and a round ago, or longer while the disk refuses.
func (r *records) undone(refusing time.Time) (n int) {
	since := time.Now().Add(-2 * time.Second)
	if !refusing.IsZero() && refusing.Before(since) {
		since = refusing.Add(-2 * time.Second)
	}
	for _, a := range r.acks {
		if a.at.After(since) {
			n += a.records
		}
	}
	return n
}

// forget drops the acknowledgements that a crash can no longer lose.
func (r *records) forget(refusing time.Time) {
	oldest := time.Now().Add(-time.Minute)
	if !refusing.IsZero() && refusing.Add(-time.Minute).Before(oldest) {
		oldest = refusing.Add(-time.Minute)
	}
	n := 0
	for n < len(r.acks) && r.acks[n].at.Before(oldest) {
		n++
	}
	r.acks = r.acks[n:]
}

// crash checks a killed agent: all records older than the contract's window must be on
// the disk or received. trouble is the time of the last known fault of the disk.
func (r *records) crash(boot uint64, trouble time.Duration, overrun uint64) {
	for class, window := range map[message.Class]time.Duration{message.ClassEvent: 700 * time.Millisecond, message.ClassState: 3 * time.Second, message.ClassCurrent: 3 * time.Second} {
		exposed := uint64(0)
		for _, e := range r.classes[class].Boot(boot) {
			n := e.Note
			if n.kept && !e.Received && !n.promised && n.made > trouble && r.age()-n.made > window {
				exposed++
			}
		}
		if exposed > overrun {
			r.violated("%d of %s made over %s before the crash are nowhere, %d were counted", exposed, class, window, overrun)
		}
	}
}

// close checks, after all faults have ended, that all guaranteed records have arrived
// or were counted as lost.
func (r *records) close(boot, overrun uint64) {
	for _, class := range message.Classes() {
		a := r.classes[class]
		missing, first := uint64(0), ledger.Name{}
		for n, e := range a.All() {
			late := e.Note.made > r.age()-5*time.Second // may be in flight
			if !e.Received && (e.Note.promised || e.Note.kept && n.Boot == boot && !late) {
				if missing == 0 {
					first = n
				}
				missing++
			}
		}
		if missing > a.counted+overrun {
			r.violated("%d of %s are missing, from %s on; %d were counted as dropped or lost", missing, class, first, a.counted+overrun)
		}
	}
	if repeated := r.repeated(); repeated > r.may {
		r.violated("%d records came twice; the contract allows %d", repeated, r.may)
	}
}

// repeated is the number of repeated deliveries.
func (r *records) repeated() (n int) {
	for _, a := range r.classes {
		n += a.Repeated
	}
	return n
}

// sums returns the numbers of records made and received, over all classes.
func (r *records) sums() (made, received int) {
	for _, a := range r.classes {
		for range a.All() {
			made++
		}
		received += a.Received
	}
	return made, received
}
