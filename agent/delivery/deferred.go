package delivery

import "sync"

// Deferred is the outbox as one of two publishers sees it. Until it is opened every
// call waits, as on a disk that hangs: the other publisher still owns the outbox.
type Deferred struct {
	mu     sync.Mutex
	behind Outbox
	opened chan struct{}
}

// NewDeferred returns an outbox that is not open yet.
func NewDeferred() *Deferred { return &Deferred{opened: make(chan struct{})} }

// Open lets calls through; a second time it changes what they reach.
func (d *Deferred) Open(behind Outbox) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.behind == nil {
		close(d.opened)
	}
	d.behind = behind
}

func (d *Deferred) through() Outbox {
	<-d.opened
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.behind
}

// Append and the methods below are Outbox's.
func (d *Deferred) Append(class string, payload []byte) uint64 {
	return d.through().Append(class, payload)
}

// Take takes waiting records.
func (d *Deferred) Take(class string, most int) ([]uint64, [][]byte) {
	return d.through().Take(class, most)
}

// Return lets go of records.
func (d *Deferred) Return(class string, numbers []uint64) { d.through().Return(class, numbers) }

// Ack ends records.
func (d *Deferred) Ack(class string, numbers []uint64) { d.through().Ack(class, numbers) }

// Sync makes records durable.
func (d *Deferred) Sync() { d.through().Sync() }

// Counters count records.
func (d *Deferred) Counters() map[string]uint64 { return d.through().Counters() }
