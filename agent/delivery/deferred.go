package delivery

import "sync"

// Deferred is the outbox of a second publisher, while the first one still owns the
// disk. Until it is opened every call waits, as on a disk that hangs.
type Deferred struct {
	mu     sync.Mutex
	outbox Outbox
	ready  chan struct{}
}

// NewDeferred returns an outbox that is not open yet.
func NewDeferred() *Deferred { return &Deferred{ready: make(chan struct{})} }

// Open passes calls on to an outbox. A second call replaces that outbox.
func (d *Deferred) Open(outbox Outbox) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.outbox == nil {
		close(d.ready)
	}
	d.outbox = outbox
}

func (d *Deferred) opened() Outbox {
	<-d.ready
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.outbox
}

// Append and the methods below implement Outbox.
func (d *Deferred) Append(class string, payload []byte) uint64 {
	return d.opened().Append(class, payload)
}

// Take takes waiting records.
func (d *Deferred) Take(class string, most int) ([]uint64, [][]byte) {
	return d.opened().Take(class, most)
}

// Return returns held records.
func (d *Deferred) Return(class string, numbers []uint64) { d.opened().Return(class, numbers) }

// Ack ends records.
func (d *Deferred) Ack(class string, numbers []uint64) { d.opened().Ack(class, numbers) }

// Sync makes records durable.
func (d *Deferred) Sync() { d.opened().Sync() }

// Counters returns the outbox's counters.
func (d *Deferred) Counters() map[string]uint64 { return d.opened().Counters() }
