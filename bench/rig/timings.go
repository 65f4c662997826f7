package rig

import (
	"encoding/json"
	"sync"
	"time"

	"meltwatch/agent/message"
	"meltwatch/percentile"
)

// Timings collects durations. It is safe for concurrent use.
type Timings struct {
	mu   sync.Mutex
	list []time.Duration
}

// Add adds a duration.
func (t *Timings) Add(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.list = append(t.list, d)
}

// Reset removes all durations.
func (t *Timings) Reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.list = nil
}

// Count returns the number of durations.
func (t *Timings) Count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.list)
}

// Percentile returns percentile p of the durations, rounded to 10 µs; 0 if there are none.
func (t *Timings) Percentile(p int) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return percentile.Of(t.list, p).Round(10 * time.Microsecond)
}

// Age returns how long ago the newest sample of a message was taken, by its stamp and
// this machine's clock.
func Age(payload []byte) time.Duration {
	var m struct{ Samples []message.Stamp }
	if json.Unmarshal(payload, &m) != nil || len(m.Samples) == 0 {
		return 0
	}
	return time.Since(m.Samples[len(m.Samples)-1].Time)
}
