// Package inbox holds payloads of a topic until their reader has time for them.
package inbox

import (
	"slices"
	"sync"
)

// most bounds the payloads that wait while a change is on trial; beyond it the
// oldest is dropped.
const most = 16

// Box holds payloads in the order of their arrival. All of them are kept for the
// reader, so that a late repetition of an older document cannot push the newest
// out. It is safe for concurrent use.
type Box struct {
	mu      sync.Mutex
	waiting [][]byte
	puts    uint64
	dropped uint64
	news    chan struct{}
}

// New returns an empty box.
func New() *Box { return &Box{news: make(chan struct{}, 1)} }

// Put takes a payload; it never blocks.
func (b *Box) Put(payload []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.puts++
	b.waiting = append(b.waiting, payload)
	if len(b.waiting) > most {
		b.waiting = b.waiting[1:]
		b.dropped++
	}
	select {
	case b.news <- struct{}{}:
	default:
	}
}

// News is ready when a payload may be waiting.
func (b *Box) News() <-chan struct{} { return b.news }

// Take takes all that waits.
func (b *Box) Take() [][]byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.waiting
	b.waiting = nil
	return all
}

// Dropped counts payloads that newer ones displaced before they were taken.
func (b *Box) Dropped() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.dropped
}

// Peek returns what waits, and how many payloads were ever put in.
func (b *Box) Peek() (waiting [][]byte, puts uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.waiting), b.puts
}
