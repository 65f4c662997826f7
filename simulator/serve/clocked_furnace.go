package serve

import (
	"math"
	"sync"
	"time"

	"meltwatch/simulator/furnace"
)

// longestDelay bounds the delay of a sense, and so how many states a clockedFurnace
// keeps.
const longestDelay = 10 * time.Second

// clockedFurnace is a furnace that runs exactly on the clock. Each read steps it up to
// the present; it keeps enough past states to serve delayed senses.
type clockedFurnace struct {
	start time.Time

	mu      sync.Mutex
	furnace *furnace.Furnace
	past    []furnace.State // ring, one entry a tick; tick k lies at k modulo its length
	ticks   int             // entries written so far
}

func newClockedFurnace(f *furnace.Furnace, start time.Time) *clockedFurnace {
	kept := int(longestDelay.Seconds()/furnace.Tick) + 2
	return &clockedFurnace{furnace: f, start: start, past: make([]furnace.State, kept)}
}

// at returns the state some time ago; before the start it is the first state.
func (m *clockedFurnace) at(ago time.Duration) furnace.State {
	return m.atElapsed(time.Since(m.start), ago)
}

func (m *clockedFurnace) atElapsed(elapsed, ago time.Duration) furnace.State {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := tickAt(elapsed)
	for ; m.ticks <= now; m.ticks++ {
		m.past[m.ticks%len(m.past)] = m.furnace.AdvanceTo(float64(m.ticks) * furnace.Tick)
	}
	then := max(tickAt(elapsed-min(ago, longestDelay)), 0, m.ticks-len(m.past))
	return m.past[then%len(m.past)]
}

// tickAt returns the number of the last tick at or before t.
func tickAt(t time.Duration) int { return int(math.Floor(t.Seconds()/furnace.Tick + 1e-9)) }

// endless extends the scenario's last state: a finished ramp stays abnormal, a start-up
// or a recovery leads to normal work, a trip leaves the furnace off.
func endless(s furnace.Scenario) furnace.Scenario {
	if len(s.Segments) == 0 {
		return s
	}
	last := s.Segments[len(s.Segments)-1]
	next := furnace.Segment{State: last.State, Seconds: 1e9}
	switch last.State {
	case furnace.Startup, furnace.Recovery:
		next.State = furnace.Normal
	case furnace.Ramp:
		next.State = furnace.Abnormal
	case furnace.Trip:
		next.State = furnace.Off
	}
	s.Segments = append(s.Segments[:len(s.Segments):len(s.Segments)], next)
	return s
}
