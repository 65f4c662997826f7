package remote

import "sync"

// mostWaiting bounds the payloads that wait while a change is on trial; beyond it
// the oldest is dropped.
const mostWaiting = 16

// inbox holds payloads of config/desired in the order of their arrival. All of
// them are looked at, so that a late repetition of an older document cannot push
// the newest out.
type inbox struct {
	mu      *sync.Mutex
	waiting [][]byte
	news    chan struct{}
}

func newInbox() inbox { return inbox{mu: &sync.Mutex{}, news: make(chan struct{}, 1)} }

// put takes a payload; it never blocks.
func (b *inbox) put(payload []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting = append(b.waiting, payload)
	if len(b.waiting) > mostWaiting {
		b.waiting = b.waiting[1:]
	}
	select {
	case b.news <- struct{}{}:
	default:
	}
}

// empty takes all that waits.
func (b *inbox) empty() [][]byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.waiting
	b.waiting = nil
	return all
}

// Desired takes a payload of config/desired; of several that wait the newest
// counts. It never blocks.
func (m *Manager) Desired(payload []byte) { m.inbox.put(payload) }
