// Package mailbox queues the payloads of a topic for their reader.
package mailbox

import (
	"slices"
	"sync"
)

// maxWaiting bounds the payloads that wait while a change is on trial. Beyond it the
// oldest is dropped.
const maxWaiting = 16

// Mailbox queues payloads in the order of their arrival. It keeps all of them for the
// reader, so that a late repetition of an older document does not replace the newest.
// It is safe for concurrent use.
type Mailbox struct {
	mu      sync.Mutex
	waiting [][]byte
	puts    uint64
	dropped uint64
	arrived chan struct{}
}

// New returns an empty mailbox.
func New() *Mailbox { return &Mailbox{arrived: make(chan struct{}, 1)} }

// Put adds a payload; it never blocks.
func (m *Mailbox) Put(payload []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.puts++
	m.waiting = append(m.waiting, payload)
	if len(m.waiting) > maxWaiting {
		m.waiting = m.waiting[1:]
		m.dropped++
	}
	select {
	case m.arrived <- struct{}{}:
	default:
	}
}

// News is ready when a payload may be waiting.
func (m *Mailbox) News() <-chan struct{} { return m.arrived }

// Take removes and returns all waiting payloads.
func (m *Mailbox) Take() [][]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.waiting
	m.waiting = nil
	return all
}

// Dropped is the number of payloads that were dropped for newer ones.
func (m *Mailbox) Dropped() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dropped
}

// Peek returns the waiting payloads, and the number of all payloads ever added.
func (m *Mailbox) Peek() (waiting [][]byte, puts uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.waiting), m.puts
}
