package mqtt

// Class is a kind of record; it is also the last part of its topic.
type Class string

// The classes, in the order in which they are given up when the outbox is full:
// the last one goes first.
const (
	ClassEvent   Class = "event"
	ClassState   Class = "state"
	ClassCurrent Class = "current"
)

var byWorth = []Class{ClassEvent, ClassState, ClassCurrent}

// Record is one JSON object waiting to be acknowledged by a broker.
type Record struct {
	Class Class
	// Payload is a complete JSON object.
	Payload []byte
	// Keep is false for a state that says nothing new: it is published while
	// connected and not kept for later.
	Keep bool
}

// Outbox holds what an outage keeps back. Its methods never block on a network.
type Outbox interface {
	// Append adds a record as the newest of its class.
	Append(Record)
	// Take removes and returns up to most of the oldest records of one class, the
	// worthiest class first.
	Take(most int) []Record
	// Return puts back records that were taken but not acknowledged, as the
	// oldest of their classes.
	Return([]Record)
	// Waiting reports whether there is anything to take.
	Waiting() bool
	// Counters are how many records wait and how many were dropped, by class.
	Counters() map[string]uint64
}

// Memory is an Outbox that a restart empties. When it is full the oldest record
// of the least worthy class goes, and is counted. It is owned by the publisher's
// lock.
type Memory struct {
	bound   int
	waiting map[Class][]Record
	dropped map[Class]uint64
}

// NewMemory returns an outbox of at most bound records.
func NewMemory(bound int) *Memory {
	return &Memory{bound: bound, waiting: map[Class][]Record{}, dropped: map[Class]uint64{}}
}

func (m *Memory) len() (n int) {
	for _, records := range m.waiting {
		n += len(records)
	}
	return n
}

// Append adds a record.
func (m *Memory) Append(r Record) {
	m.waiting[r.Class] = append(m.waiting[r.Class], r)
	m.shrink()
}

func (m *Memory) shrink() {
	for excess := m.len() - m.bound; excess > 0; excess-- {
		for i := len(byWorth) - 1; i >= 0; i-- {
			if class := byWorth[i]; len(m.waiting[class]) > 0 {
				m.waiting[class][0] = Record{} // let go of the payload
				m.waiting[class] = m.waiting[class][1:]
				m.dropped[class]++
				break
			}
		}
	}
}

// Take removes and returns the oldest records of the worthiest class.
func (m *Memory) Take(most int) []Record {
	for _, class := range byWorth {
		if n := min(most, len(m.waiting[class])); n > 0 {
			taken := append([]Record(nil), m.waiting[class][:n]...)
			m.waiting[class] = m.waiting[class][n:]
			return taken
		}
	}
	return nil
}

// Return puts records back as the oldest of their classes.
func (m *Memory) Return(records []Record) {
	for _, class := range byWorth {
		var back []Record
		for _, r := range records {
			if r.Class == class {
				back = append(back, r)
			}
		}
		if len(back) > 0 {
			m.waiting[class] = append(back, m.waiting[class]...)
		}
	}
	m.shrink()
}

// Waiting reports whether there is anything to take.
func (m *Memory) Waiting() bool { return m.len() > 0 }

// Counters by class: waiting_event, dropped_event and so on.
func (m *Memory) Counters() map[string]uint64 {
	counters := map[string]uint64{}
	for _, class := range byWorth {
		counters["waiting_"+string(class)] = uint64(len(m.waiting[class]))
		counters["dropped_"+string(class)] = m.dropped[class]
	}
	return counters
}
