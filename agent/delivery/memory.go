package delivery

import (
	"slices"
	"sort"

	"meltwatch/agent/message"
)

// Outbox stores unacknowledged records. Its methods may wait for a disk, but not for
// the network. They are called by one goroutine, the publisher's spooler.
//
// A record has a number, which rises within its class. Until it is acknowledged, it is
// either waiting or held by the publisher that appended or took it.
type Outbox interface {
	// Append adds a record as the newest of its class, held, and returns its number; 0
	// if it cannot be stored. An event is durable on return if the outbox is durable at
	// all.
	Append(class string, payload []byte) (number uint64)
	// Take holds and returns up to most of the oldest waiting records of a class.
	Take(class string, most int) (numbers []uint64, payloads [][]byte)
	// Return returns held records that were not acknowledged: they wait again, in their
	// places.
	Return(class string, numbers []uint64)
	// Ack removes records that were acknowledged.
	Ack(class string, numbers []uint64)
	// Sync makes the appended records durable. It is called about once a second at least.
	Sync()
	// Counters returns the numbers of waiting and dropped records, by class.
	Counters() map[string]uint64
}

// Memory is an Outbox that a restart empties. When it is full, the oldest record of the
// class with the lowest priority is dropped and counted.
type Memory struct {
	bound   int
	next    uint64
	kept    map[message.Class][]memoryRecord // ascending
	dropped map[message.Class]uint64
}

type memoryRecord struct {
	number  uint64
	payload []byte
	held    bool
}

// NewMemory returns an outbox of at most bound records.
func NewMemory(bound int) *Memory {
	return &Memory{bound: bound, next: 1, kept: map[message.Class][]memoryRecord{}, dropped: map[message.Class]uint64{}}
}

// Append adds a record.
func (m *Memory) Append(class string, payload []byte) uint64 {
	c := message.Class(class)
	if !slices.Contains(message.Classes(), c) || len(payload) == 0 {
		return 0
	}
	number := m.next
	m.next++
	m.kept[c] = append(m.kept[c], memoryRecord{number, payload, true})
	m.shrink()
	return number
}

// size is the number of records.
func (m *Memory) size() (n int) {
	for _, records := range m.kept {
		n += len(records)
	}
	return n
}

// holds reports whether any record is held.
func (m *Memory) holds() bool {
	for _, records := range m.kept {
		if slices.ContainsFunc(records, func(k memoryRecord) bool { return k.held }) {
			return true
		}
	}
	return false
}

func (m *Memory) shrink() {
	for total := m.size(); total > m.bound; total-- {
		for i := len(message.Classes()) - 1; i >= 0; i-- {
			if class := message.Classes()[i]; len(m.kept[class]) > 0 {
				m.kept[class][0] = memoryRecord{} // release the payload
				m.kept[class] = m.kept[class][1:]
				m.dropped[class]++
				break
			}
		}
	}
}

// Take holds and returns the oldest waiting records.
func (m *Memory) Take(class string, most int) (numbers []uint64, payloads [][]byte) {
	records := m.kept[message.Class(class)]
	for i := range records {
		if len(numbers) == most {
			break
		}
		if !records[i].held {
			records[i].held = true
			numbers = append(numbers, records[i].number)
			payloads = append(payloads, records[i].payload)
		}
	}
	return numbers, payloads
}

// find is the index of a record, or −1.
func (m *Memory) find(class message.Class, number uint64) int {
	records := m.kept[class]
	i := sort.Search(len(records), func(i int) bool { return records[i].number >= number })
	if i < len(records) && records[i].number == number {
		return i
	}
	return -1
}

// Return returns held records.
func (m *Memory) Return(class string, numbers []uint64) {
	for _, n := range numbers {
		if i := m.find(message.Class(class), n); i >= 0 {
			m.kept[message.Class(class)][i].held = false
		}
	}
}

// Ack removes records.
func (m *Memory) Ack(class string, numbers []uint64) {
	for _, n := range numbers {
		if i := m.find(message.Class(class), n); i >= 0 {
			m.kept[message.Class(class)] = slices.Delete(m.kept[message.Class(class)], i, i+1)
		}
	}
}

// Sync does nothing: memory has no durable storage.
func (m *Memory) Sync() {}

// Counters are named waiting_event, dropped_event and so on, by class. Held records
// count as waiting.
func (m *Memory) Counters() map[string]uint64 {
	counters := map[string]uint64{}
	for _, class := range message.Classes() {
		counters["waiting_"+string(class)] = uint64(len(m.kept[class]))
		counters["dropped_"+string(class)] = m.dropped[class]
	}
	return counters
}
