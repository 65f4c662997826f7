package main

import (
	"encoding/json"
	"slices"
	"sync"
	"time"

	"meltwatch/agent/message"
)

// timings gathers durations.
type timings struct {
	mu   sync.Mutex
	list []time.Duration
}

func (t *timings) add(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.list = append(t.list, d)
}

func (t *timings) reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.list = nil
}

func (t *timings) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.list)
}

// percentile is the duration under which so many of a hundred stay; 0 of none.
func (t *timings) percentile(p int) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.list) == 0 {
		return 0
	}
	slices.Sort(t.list)
	return t.list[min(len(t.list)*p/100, len(t.list)-1)].Round(10 * time.Microsecond)
}

// ageOf is how long ago the newest sample of a message was taken, by its stamp
// and this machine's clock.
func ageOf(payload []byte) time.Duration {
	var m struct{ Samples []message.Stamp }
	if json.Unmarshal(payload, &m) != nil || len(m.Samples) == 0 {
		return 0
	}
	return time.Since(m.Samples[len(m.Samples)-1].Time)
}
