package delivery

import (
	"time"

	"meltwatch/agent/message"
)

// Recovering is an outbox on a disk that could not be read at the start. Records wait
// in memory until the disk can be read; then they are moved there, after the older
// records.
type Recovering struct {
	open   func() (Outbox, error)
	bound  int
	memory *Memory
	disk   Outbox    // nil until it could be opened
	tried  time.Time // last attempt
}

const (
	// openEvery is the interval between attempts to open the disk.
	openEvery = 10 * time.Second
	// inMemory marks the numbers of records that are not on the disk.
	inMemory = 1 << 63
)

// NewRecovering returns an outbox of at most bound records until open, which has just
// failed, succeeds.
func NewRecovering(bound int, open func() (Outbox, error)) *Recovering {
	return &Recovering{open: open, bound: bound, memory: NewMemory(bound), tried: time.Now()}
}

// Append adds a record. Records in memory must reach the disk first, to keep the order.
func (r *Recovering) Append(class string, payload []byte) (number uint64) {
	if r.disk != nil && r.memory.size() == 0 {
		return r.disk.Append(class, payload)
	}
	if number = r.memory.Append(class, payload); number != 0 {
		number |= inMemory
	}
	return number
}

// Take holds and returns the oldest waiting records: those on the disk are older.
func (r *Recovering) Take(class string, most int) (numbers []uint64, payloads [][]byte) {
	if r.disk != nil {
		numbers, payloads = r.disk.Take(class, most)
	}
	young, more := r.memory.Take(class, most-len(numbers))
	for _, n := range young {
		numbers = append(numbers, n|inMemory)
	}
	return numbers, append(payloads, more...)
}

// Return returns held records.
func (r *Recovering) Return(class string, numbers []uint64) {
	memory, disk := split(numbers)
	r.memory.Return(class, memory)
	if r.disk != nil {
		r.disk.Return(class, disk)
	}
}

// Ack removes records.
func (r *Recovering) Ack(class string, numbers []uint64) {
	memory, disk := split(numbers)
	r.memory.Ack(class, memory)
	if r.disk != nil {
		r.disk.Ack(class, disk)
	}
}

// split separates the numbers in memory from those on the disk.
func split(numbers []uint64) (memory, disk []uint64) {
	for _, n := range numbers {
		if n&inMemory != 0 {
			memory = append(memory, n&^inMemory)
		} else {
			disk = append(disk, n)
		}
	}
	return memory, disk
}

// Sync tries to open the disk. It moves the records from memory to the disk once none
// of them is held.
func (r *Recovering) Sync() {
	if r.disk == nil {
		if time.Since(r.tried) < openEvery {
			return
		}
		r.tried = time.Now()
		disk, err := r.open()
		if err != nil {
			return // open has reported the error
		}
		r.disk = disk
	}
	if r.memory.size() > 0 && !r.memory.holds() {
		r.move()
	}
	r.disk.Sync()
}

func (r *Recovering) move() {
	for _, class := range message.Classes() {
		_, payloads := r.memory.Take(string(class), r.bound)
		for _, payload := range payloads {
			if number := r.disk.Append(string(class), payload); number != 0 {
				r.disk.Return(string(class), []uint64{number})
			}
		}
	}
	dropped := r.memory.dropped
	r.memory = NewMemory(r.bound)
	r.memory.dropped = dropped
}

// Counters are the sums over memory and disk.
func (r *Recovering) Counters() map[string]uint64 {
	counters := r.memory.Counters()
	if r.disk != nil {
		for key, n := range r.disk.Counters() {
			counters[key] += n
		}
	}
	return counters
}
