package delivery

import (
	"time"

	"meltwatch/agent/message"
)

// Recovering is an outbox on a disk that could not be read at the start. Records wait
// in memory until it can; then they go there, behind what it held already.
type Recovering struct {
	open   func() (Outbox, error)
	bound  int
	memory *Memory
	disk   Outbox    // nil until it could be opened
	tried  time.Time // last
}

const (
	// openEvery is how often a disk that could not be read is tried again.
	openEvery = 10 * time.Second
	// inMemory marks the numbers of records that are not on the disk.
	inMemory = 1 << 63
)

// NewRecovering returns an outbox of at most bound records until open, which has just
// failed, succeeds.
func NewRecovering(bound int, open func() (Outbox, error)) *Recovering {
	return &Recovering{open: open, bound: bound, memory: NewMemory(bound), tried: time.Now()}
}

// Append adds a record. What is in memory must reach the disk first, for the
// order's sake.
func (l *Recovering) Append(class string, payload []byte) (number uint64) {
	if l.disk != nil && l.memory.size() == 0 {
		return l.disk.Append(class, payload)
	}
	if number = l.memory.Append(class, payload); number != 0 {
		number |= inMemory
	}
	return number
}

// Take hands out the oldest waiting records: those on the disk are older.
func (l *Recovering) Take(class string, most int) (numbers []uint64, payloads [][]byte) {
	if l.disk != nil {
		numbers, payloads = l.disk.Take(class, most)
	}
	young, more := l.memory.Take(class, most-len(numbers))
	for _, n := range young {
		numbers = append(numbers, n|inMemory)
	}
	return numbers, append(payloads, more...)
}

// Return lets go of records.
func (l *Recovering) Return(class string, numbers []uint64) {
	memory, disk := sorted(numbers)
	l.memory.Return(class, memory)
	if l.disk != nil {
		l.disk.Return(class, disk)
	}
}

// Ack removes records.
func (l *Recovering) Ack(class string, numbers []uint64) {
	memory, disk := sorted(numbers)
	l.memory.Ack(class, memory)
	if l.disk != nil {
		l.disk.Ack(class, disk)
	}
}

// sorted tells the numbers of memory from those of the disk.
func sorted(numbers []uint64) (memory, disk []uint64) {
	for _, n := range numbers {
		if n&inMemory != 0 {
			memory = append(memory, n&^inMemory)
		} else {
			disk = append(disk, n)
		}
	}
	return memory, disk
}

// Sync tries to open the disk, and moves there what waits in memory as soon as
// nothing of it is held.
func (l *Recovering) Sync() {
	if l.disk == nil {
		if time.Since(l.tried) < openEvery {
			return
		}
		l.tried = time.Now()
		disk, err := l.open()
		if err != nil {
			return // open has told why
		}
		l.disk = disk
	}
	if l.memory.size() > 0 && !l.memory.holds() {
		l.move()
	}
	l.disk.Sync()
}

func (l *Recovering) move() {
	for _, class := range message.Classes() {
		_, payloads := l.memory.Take(string(class), l.bound)
		for _, payload := range payloads {
			if number := l.disk.Append(string(class), payload); number != 0 {
				l.disk.Return(string(class), []uint64{number})
			}
		}
	}
	dropped := l.memory.dropped
	l.memory = NewMemory(l.bound)
	l.memory.dropped = dropped
}

// Counters are memory's and the disk's together.
func (l *Recovering) Counters() map[string]uint64 {
	counters := l.memory.Counters()
	if l.disk != nil {
		for key, n := range l.disk.Counters() {
			counters[key] += n
		}
	}
	return counters
}
