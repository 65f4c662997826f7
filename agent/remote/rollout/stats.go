package rollout

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"meltwatch/agent/message"
	"meltwatch/percentile"
)

// shadowStats accumulates the comparisons of the decision loop, one a second.
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
	recent   []time.Duration // the new model's times in the last minute
	memory   int64
	compared int
}

const (
	// faultsInARow unanswered seconds in a row, or a share of faultShare after
	// fewFaults of them, make a model fail.
	faultsInARow = 3
	faultShare   = 0.02
	fewFaults    = 5
	// recentSeconds is the number of seconds in the latency's percentile; it needs
	// enoughSeconds at least.
	recentSeconds = 60
	enoughSeconds = 10
)

func newShadowStats(l Limits) *shadowStats { return &shadowStats{latency: l.Latency} }

// add adds one second. A second that neither model decided, because no sense was live,
// counts against neither.
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

// switched records that the new model decides from now on.
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

// fault returns the fault of the new model in the seconds so far, or nil.
func (t *shadowStats) fault(l Limits) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.inARow >= faultsInARow {
		return fmt.Errorf("%d seconds in a row that only the other model answered: %w", t.inARow, t.lastErr)
	}
	if t.faults >= fewFaults && float64(t.faults) > faultShare*float64(t.compared) {
		return fmt.Errorf("%d of %d seconds without an answer: %w", t.faults, t.compared, t.lastErr)
	}
	if p := percentile.Of(t.recent, 95); len(t.recent) >= enoughSeconds && p > l.Latency {
		return fmt.Errorf("takes %s for a second at the 95th percentile, longer than remote.model_latency, %s", p.Round(time.Millisecond), l.Latency)
	}
	return nil
}

// scores summarises the comparison.
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

var errNoComparison = errors.New("no second was compared: check that the current or the video is live")
