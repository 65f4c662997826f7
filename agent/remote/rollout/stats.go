package rollout

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"meltwatch/agent/message"
	"meltwatch/percentile"
)

// shadowStats gathers comparisons, one a second, from the decide loop.
type shadowStats struct {
	mu       sync.Mutex
	latency  time.Duration
	isLive   bool // the new model decides
	seconds  int
	agreed   int
	oldSum   float64
	newSum   float64
	faults   int
	inARow   int
	lastErr  error
	recent   []time.Duration // what the new model took, the last minute's
	memory   int64
	compared int
}

const (
	// faultsInARow and faultShare say when a model that does not answer is given
	// up: at once when it is silent, later when it only stumbles now and then.
	faultsInARow = 3
	faultShare   = 0.02
	fewFaults    = 5
	// recentSeconds is how many seconds the latency is judged by; fewer than
	// enoughSeconds say nothing.
	recentSeconds = 60
	enoughSeconds = 10
)

func newShadowStats(l Limits) *shadowStats { return &shadowStats{latency: l.Latency} }

// add takes one second. A second that neither model decided, because no sense
// shows anything, counts against none.
func (t *shadowStats) add(c Comparison) {
	t.mu.Lock()
	defer t.mu.Unlock()
	oldP, newP, oldFault, newFault, took := c.LiveP, c.ShadowP, c.LiveFault, c.ShadowFault, c.ShadowTook
	if t.isLive {
		oldP, newP, oldFault, newFault, took = newP, oldP, newFault, oldFault, c.LiveTook
	}
	t.compared++
	switch {
	case newFault == nil && oldFault == nil:
		t.seconds++
		t.oldSum, t.newSum = t.oldSum+oldP, t.newSum+newP
		if (oldP >= 0.5) == (newP >= 0.5) {
			t.agreed++
		}
		fallthrough
	case newFault == nil:
		t.inARow = 0
		t.recent = append(t.recent, took)
		t.recent = t.recent[max(0, len(t.recent)-recentSeconds):]
	case oldFault == nil:
		t.faults++
		t.inARow++
		t.lastErr = newFault
	}
}

// switched says that the new model decides from now on.
func (t *shadowStats) switched() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.isLive = true
}

func (t *shadowStats) hold(memory int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.memory = memory
}

// fault is what the seconds so far say against the new model.
func (t *shadowStats) fault(l Limits) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.inARow >= faultsInARow {
		return fmt.Errorf("%d seconds in a row without an answer that the other model gave: %w", t.inARow, t.lastErr)
	}
	if t.faults >= fewFaults && float64(t.faults) > faultShare*float64(t.compared) {
		return fmt.Errorf("%d of %d seconds without an answer: %w", t.faults, t.compared, t.lastErr)
	}
	if p := percentile.Of(t.recent, 95); len(t.recent) >= enoughSeconds && p > l.Latency {
		return fmt.Errorf("takes %s for a second at the 95th percentile, remote.model_latency allows %s", p.Round(time.Millisecond), l.Latency)
	}
	return nil
}

// scores sum up.
func (t *shadowStats) scores() *message.ModelScores {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := &message.ModelScores{Seconds: t.seconds, Faults: t.faults, MemoryMB: float64(t.memory) / 1e6}
	s.LatencyMS = float64(percentile.Of(t.recent, 95).Microseconds()) / 1000
	if t.seconds > 0 {
		n := float64(t.seconds)
		s.Agreement, s.OldP, s.NewP = float64(t.agreed)/n, t.oldSum/n, t.newSum/n
	}
	return s
}

var errNoComparison = errors.New("no second was compared: does the furnace show anything?")
