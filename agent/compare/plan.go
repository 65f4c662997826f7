package compare

import (
	"math"
	"slices"
	"time"

	"meltwatch/agent/recorder"
	"meltwatch/agent/replay"
)

// span is a part of a recording to decide: labelled stretches, and what must be decided
// before them.
type span struct {
	from, to time.Time
	seconds  int // of it are recorded
}

const (
	// lead is how much is decided before a labelled stretch, so that its first second counts.
	lead = replay.Settling + 30*time.Second
	// longLead is the same where the recorded correction of the clocks is not that with which
	// the deciders begin: it moves slowly.
	longLead        = 20 * time.Minute
	smallCorrection = 0.25 // seconds
)

// plan returns the spans of the stretches that are labelled abnormal or normal, by time.
// delay is the correction with which the deciders begin.
func plan(l *recorder.Library, labels []recorder.Label, delay time.Duration) ([]span, error) {
	segments, err := l.Segments()
	if err != nil {
		return nil, err
	}
	var spans []span
	labelled := false
	for _, one := range labels {
		if one.Class == recorder.ClassDoubtful {
			continue
		}
		labelled = true
		s := span{from: one.From, to: one.To}
		if recorded(segments, s) == 0 {
			continue
		}
		before, err := leadOf(l, one.From, delay)
		if err != nil {
			return nil, err
		}
		s.from = s.from.Add(-before)
		spans = append(spans, s)
	}
	if !labelled {
		return nil, ErrNoLabel
	}
	spans = merged(spans)
	for i := range spans {
		spans[i].seconds = recorded(segments, spans[i])
	}
	return spans, nil
}

func leadOf(l *recorder.Library, at time.Time, delay time.Duration) (time.Duration, error) {
	states, err := l.States(at.Add(-10*time.Second), at.Add(10*time.Second))
	if err != nil {
		return 0, err
	}
	if slices.ContainsFunc(states, func(s recorder.Decided) bool { return math.Abs(s.ClockCorrectionS-delay.Seconds()) > smallCorrection }) {
		return longLead, nil
	}
	return lead, nil
}

// merged joins spans that touch, so that no second is decided twice.
func merged(spans []span) (joined []span) {
	slices.SortFunc(spans, func(a, b span) int { return a.from.Compare(b.from) })
	for _, s := range spans {
		if n := len(joined); n > 0 && !s.from.After(joined[n-1].to) {
			if s.to.After(joined[n-1].to) {
				joined[n-1].to = s.to
			}
			continue
		}
		joined = append(joined, s)
	}
	return joined
}

// recorded counts the seconds of a span that a recording holds.
func recorded(segments []recorder.Summary, s span) int {
	var sum time.Duration
	for _, one := range segments {
		from, to := one.From, one.To
		if from.Before(s.from) {
			from = s.from
		}
		if to.After(s.to) {
			to = s.to
		}
		sum += max(to.Sub(from), 0)
	}
	return int(sum.Round(time.Second).Seconds())
}
