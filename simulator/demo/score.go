package demo

import (
	"fmt"
	"strings"
	"time"

	"meltwatch/percentile"
)

// The demo's promises.
const (
	firstWithin = 60 * time.Second
	foundWithin = 100 * time.Second
)

// arrival is one state message at the subscriber.
type arrival struct {
	at    time.Time
	state string
	// decided is whether the model or the rule gave a verdict.
	decided bool
	// latency is the time from the end of the window to the arrival.
	latency time.Duration
}

// truth is the simulator's truth at one instant.
type truth struct {
	at    time.Time
	sound bool // the shell is sound and was not burning before this melt's recovery
	// onset is when the running episode began, zero before the first.
	onset time.Time
}

// score compares the arrivals with the truth. One goroutine calls it, in the order of
// time.
type score struct {
	started     time.Time
	messages    int
	first       time.Time // of the first verdict
	onset       time.Time
	found       time.Time // of the first abnormal state after the onset
	falseAlarms int       // abnormal states that began while the shell was sound
	state       string
	truth       truth
	// latencies of the states, and delays of the current from its meter.
	latencies, delays []time.Duration
}

func (s *score) learn(t truth) {
	s.truth = t
	if s.onset.IsZero() {
		s.onset = t.onset
	}
}

func (s *score) observe(m arrival) {
	if s.first.IsZero() && m.decided {
		s.first = m.at
	}
	s.latencies = append(s.latencies, m.latency)
	if m.state == "abnormal" && s.state != "abnormal" {
		switch {
		case s.truth.sound:
			s.falseAlarms++
		case s.found.IsZero() && !s.onset.IsZero():
			s.found = m.at
		}
	}
	s.state = m.state
}

// faults lists the promises that were broken by now. A promise that is not yet due is not
// broken.
func (s *score) faults(now time.Time) []string {
	var faults []string
	if s.first.IsZero() && now.Sub(s.started) > firstWithin || !s.first.IsZero() && s.first.Sub(s.started) > firstWithin {
		faults = append(faults, fmt.Sprintf("no verdict within %s of the start", firstWithin))
	}
	if !s.onset.IsZero() {
		due := s.onset.Add(foundWithin)
		if s.found.IsZero() && now.After(due) || s.found.After(due) {
			faults = append(faults, fmt.Sprintf("the onset was not found within %s", foundWithin))
		}
	}
	if s.falseAlarms > 0 {
		faults = append(faults, fmt.Sprintf("%d false alarms", s.falseAlarms))
	}
	return faults
}

// summary returns one line for people and scripts.
func (s *score) summary() string {
	parts := []string{
		"first verdict " + after(s.started, s.first) + atMost(firstWithin),
		"onset at " + after(s.started, s.onset),
		"onset found after " + after(s.onset, s.found) + atMost(foundWithin),
		fmt.Sprintf("%d false alarms (at most 0)", s.falseAlarms),
		fmt.Sprintf("%d messages", s.messages),
		fmt.Sprintf("verdict latency p50 %s p95 %s", rounded(s.latencies, 50), rounded(s.latencies, 95)),
		fmt.Sprintf("meter to subscriber p50 %s p95 %s", rounded(s.delays, 50), rounded(s.delays, 95)),
	}
	return strings.Join(parts, ", ")
}

func atMost(bound time.Duration) string { return fmt.Sprintf(" (at most %.0f)", bound.Seconds()) }

func after(from, to time.Time) string {
	if from.IsZero() || to.IsZero() {
		return "none"
	}
	return fmt.Sprintf("%.0f s", to.Sub(from).Seconds())
}

func rounded(values []time.Duration, p int) time.Duration {
	return percentile.Of(values, p).Round(100 * time.Microsecond)
}
