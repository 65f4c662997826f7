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
func (s *shadowStats) add(c Comparison) {
	s.mu.Lock()
	defer s.mu.Unlock()
	oldP, newP, oldFault, newFault, took := c.LiveP, c.ShadowP, c.LiveFault, c.ShadowFault, c.ShadowTook
	if s.isLive {
		oldP, newP, oldFault, newFault, took = newP, oldP, newFault, oldFault, c.LiveTook
	}
	s.compared++
	switch {
	case newFault == nil && oldFault == nil:
		s.seconds++
		s.oldSum, s.newSum = s.oldSum+oldP, s.newSum+newP
		if (oldP >= 0.5) == (newP >= 0.5) {
			s.agreed++
		}
		fallthrough
	case newFault == nil:
		s.inARow = 0
		s.recent = append(s.recent, took)
		s.recent = s.recent[max(0, len(s.recent)-recentSeconds):]
	case oldFault == nil:
		s.faults++
		s.inARow++
		s.lastErr = newFault
	}
}

// switched records that the new model decides from now on.
func (s *shadowStats) switched() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.isLive = true
}

func (s *shadowStats) hold(memory int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.memory = memory
}

// fault returns the fault of the new model in the seconds so far, or nil.
func (s *shadowStats) fault(l Limits) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inARow >= faultsInARow {
		return fmt.Errorf("%d seconds in a row that only the other model answered: %w", s.inARow, s.lastErr)
	}
	if s.faults >= fewFaults && float64(s.faults) > faultShare*float64(s.compared) {
		return fmt.Errorf("%d of %d seconds without an answer: %w", s.faults, s.compared, s.lastErr)
	}
	if p := percentile.Of(s.recent, 95); len(s.recent) >= enoughSeconds && p > l.Latency {
		return fmt.Errorf("takes %s for a second at the 95th percentile, longer than remote.model_latency, %s", p.Round(time.Millisecond), l.Latency)
	}
	return nil
}

// scores summarises the comparison.
func (s *shadowStats) scores() *message.ModelScores {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &message.ModelScores{Seconds: s.seconds, Faults: s.faults, MemoryMB: float64(s.memory) / 1e6}
	out.LatencyMS = float64(percentile.Of(s.recent, 95).Microseconds()) / 1000
	if s.seconds > 0 {
		n := float64(s.seconds)
		out.Agreement, out.OldP, out.NewP = float64(s.agreed)/n, s.oldSum/n, s.newSum/n
	}
	return out
}

var errNoComparison = errors.New("no second was compared: check that the current or the video is live")
