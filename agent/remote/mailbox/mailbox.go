// Package mailbox holds payloads of a topic until their reader has time for them.
package mailbox

import (
	"slices"
	"sync"
)

// maxWaiting bounds the payloads that wait while a change is on trial; beyond it the
// oldest is dropped.
const maxWaiting = 16

// Mailbox holds payloads in the order of their arrival. All of them are kept for the
// reader, so that a late repetition of an older document cannot push the newest
// out. It is safe for concurrent use.
type Mailbox struct {
	mu      sync.Mutex
	waiting [][]byte
	puts    uint64
	dropped uint64
	news    chan struct{}
}

// New returns an empty mailbox.
func New() *Mailbox { return &Mailbox{news: make(chan struct{}, 1)} }

// Put takes a payload; it never blocks.
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
	case m.news <- struct{}{}:
	default:
	}
}

// News is ready when a payload may be waiting.
func (m *Mailbox) News() <-chan struct{} { return m.news }

// Take takes all that waits.
func (m *Mailbox) Take() [][]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.waiting
	m.waiting = nil
	return all
}

// Dropped counts payloads that newer ones displaced before they were taken.
func (m *Mailbox) Dropped() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dropped
}

// Peek returns what waits, and how many payloads were ever put in.
func (m *Mailbox) Peek() (waiting [][]byte, puts uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.waiting), m.puts
}
