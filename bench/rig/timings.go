package rig

import (
	"encoding/json"
	"sync"
	"time"

	"meltwatch/agent/mqtt"
	"meltwatch/percentile"
)

// Timings gathers durations.
type Timings struct {
	mu   sync.Mutex
	list []time.Duration
}

// Add adds one.
func (t *Timings) Add(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.list = append(t.list, d)
}

// Reset forgets all.
func (t *Timings) Reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.list = nil
}

// Count is how many there are.
func (t *Timings) Count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.list)
}

// Percentile is the duration under which so many of a hundred stay; 0 of none.
func (t *Timings) Percentile(p int) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return percentile.Of(t.list, p).Round(10 * time.Microsecond)
}

// Age is how long ago the newest sample of a message was taken, by its stamp
// and this machine's clock.
func Age(payload []byte) time.Duration {
	var m struct{ Samples []mqtt.Stamp }
	if json.Unmarshal(payload, &m) != nil || len(m.Samples) == 0 {
		return 0
	}
	return time.Since(m.Samples[len(m.Samples)-1].Time)
}
