package meter

import (
	"encoding/json"
	"strings"
	"sync"
	"time"

	"meltwatch/bench/performance/figures"
	"meltwatch/percentile"
)

// arrivals times the messages of one sender at the subscriber.
type arrivals struct {
	meter *server
	topic string // start of the sender's topics

	mu          sync.Mutex
	first       time.Time // arrival of its first message
	firstSample time.Time
	timing      bool
	at          []time.Time // arrivals of messages with samples, while timing
	age         []time.Duration
}

// payload is what any of the senders publishes.
type payload struct {
	Samples []struct{ A float64 } // the agent's, and the bare client's
	Fields  struct{ A float64 }   // Telegraf's
}

func (a *arrivals) take(topic string, text []byte) {
	now := time.Now()
	if !strings.HasPrefix(topic, a.topic) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.first.IsZero() {
		a.first = now
	}
	var p payload
	if json.Unmarshal(text, &p) != nil {
		return
	}
	currents := []float64{p.Fields.A}
	if len(p.Samples) > 0 {
		currents = currents[:0]
		for _, s := range p.Samples {
			currents = append(currents, s.A)
		}
	}
	holds := false
	for _, current := range currents {
		given, known := a.meter.givenAt(current)
		if !known {
			continue
		}
		holds = true
		if a.timing {
			a.age = append(a.age, now.Sub(given))
		}
	}
	if holds && a.firstSample.IsZero() {
		a.firstSample = now
	}
	if holds && a.timing {
		a.at = append(a.at, now)
	}
}

// started reports whether a sample has arrived.
func (a *arrivals) started() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !a.firstSample.IsZero()
}

func (a *arrivals) time(on bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.timing = on
}

// figures adds what was timed, in milliseconds, under names that begin with name.
func (a *arrivals) figures(into figures.Round, name string, start time.Time, period time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	into[name+" first"] = milliseconds(a.first.Sub(start))
	into[name+" first sample"] = milliseconds(a.firstSample.Sub(start))
	into[name+" arrived"] = float64(len(a.age))
	if len(a.age) == 0 {
		return
	}
	for _, p := range []struct {
		name string
		rank int
	}{{" p50", 50}, {" p95", 95}, {" p99", 99}} {
		into[name+p.name] = milliseconds(percentile.Of(a.age, p.rank))
	}
	if off := jitter(a.at, period); len(off) > 0 {
		into[name+" jitter"] = milliseconds(percentile.Of(off, 99))
	}
}

// jitter is how far the interval of each two arrivals is from the period.
func jitter(at []time.Time, period time.Duration) (off []time.Duration) {
	for i := 1; i < len(at); i++ {
		off = append(off, (at[i].Sub(at[i-1]) - period).Abs())
	}
	return off
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
