package compare

import (
	"slices"
	"time"

	"meltwatch/agent/recorder"
	"meltwatch/agent/replay"
	"meltwatch/percentile"
)

// Scorer compares what two sides say of each second with what persons say: two models, or
// what was decided then and what is decided now. Seconds are added in order of time.
type Scorer struct {
	labels []recorder.Label
	truth  recorder.Truth
	until  time.Time // truth is of the time from first to until
	first  time.Time

	stretches map[string]*Stretch // by label
	alarms    [2]alarm
	last      time.Time
	differing []Difference
	leftOut   int
}

// alarm is the state abnormal of one side while it lasts.
type alarm struct {
	justified bool // by an abnormal stretch in which it began or lasted
	counted   bool // as a false one
}

const (
	// maxStretches and maxDifferences bound the lists of a comparison.
	maxStretches   = 1000
	maxDifferences = 1000
	// truthSpan is the time for which labels are looked up at once.
	truthSpan = time.Hour
	// sameDifference is the longest pause within a difference: a second may be missing.
	sameDifference = 3 * time.Second
)

// NewScorer returns a scorer of a recording's labels.
func NewScorer(labels []recorder.Label) *Scorer {
	return &Scorer{labels: labels, stretches: map[string]*Stretch{}}
}

// Add adds a second. Until it is settled it is not compared, but an alarm may begin.
func (s *Scorer) Add(at time.Time, settled, inForce, candidate bool) {
	if at.Sub(s.last) > replay.MaxPause {
		s.alarms = [2]alarm{}
	}
	s.last = at
	if s.until.IsZero() || at.After(s.until) || at.Before(s.first) {
		s.first, s.until = at, at.Add(truthSpan)
		s.truth = recorder.NewTruth(s.labels, s.first, s.until)
	}
	label, said := s.truth.At(at)
	scored := said && label.Scored(at)
	says := [2]bool{inForce, candidate}
	for i, abnormal := range says {
		a := &s.alarms[i]
		if !abnormal {
			*a = alarm{}
			continue
		}
		a.justified = a.justified || scored && label.Class == recorder.ClassAbnormal
	}
	if scored && settled {
		s.compare(at, label, says)
	}
}

func (s *Scorer) compare(at time.Time, label recorder.Label, says [2]bool) {
	one := s.stretches[label.ID]
	if one == nil {
		one = stretchOf(label)
		one.late = at.Sub(label.Began()) > sameDifference
		s.stretches[label.ID] = one
	}
	one.Seconds++
	isAbnormal := label.Class == recorder.ClassAbnormal
	for i, score := range []*Score{&one.InForce, &one.Candidate} {
		if says[i] == isAbnormal {
			score.Right++
		}
		switch a := &s.alarms[i]; {
		case isAbnormal && says[i] && !score.Found:
			score.Found = true
			if !one.late {
				delay := at.Sub(label.Began()).Round(time.Millisecond).Seconds()
				score.DelayS = &delay
			}
		case !isAbnormal && says[i] && !a.justified && !a.counted:
			a.counted = true
			score.FalseAlarms++
		}
	}
	if says[0] != says[1] {
		s.differ(Difference{From: at, To: at.Add(time.Second), Label: label.ID, Class: label.Class, CandidateRight: says[1] == isAbnormal})
	}
}

func stretchOf(l recorder.Label) *Stretch {
	return &Stretch{Label: l.ID, Class: l.Class, From: l.From, To: l.To, Onset: l.Onset}
}

// differ adds a second in which the two differ.
func (s *Scorer) differ(d Difference) {
	if n := len(s.differing); n > 0 {
		before := &s.differing[n-1]
		if before.Label == d.Label && before.CandidateRight == d.CandidateRight && d.From.Sub(before.To) < sameDifference {
			before.To = d.To
			return
		}
	}
	if len(s.differing) == maxDifferences {
		s.leftOut++
		return
	}
	s.differing = append(s.differing, d)
}

// Result is the comparison of what was added.
func (s *Scorer) Result() *Comparison {
	c := &Comparison{Version: format, Differences: s.differing, DifferencesLeftOut: s.leftOut}
	var first, second []Score
	for _, l := range s.labels {
		if l.Class == recorder.ClassDoubtful {
			continue
		}
		one := s.stretches[l.ID]
		if one == nil {
			one = stretchOf(l)
			c.Unrecorded++
		}
		c.Stretches = append(c.Stretches, *one)
		first, second = append(first, one.InForce), append(second, one.Candidate)
	}
	c.InForceSum, c.CandidateSum = sum(c.Stretches, first), sum(c.Stretches, second)
	if more := len(c.Stretches) - maxStretches; more > 0 {
		c.Stretches, c.StretchesLeftOut = slices.Clone(c.Stretches[more:]), more
	}
	return c
}

// sum adds up the scores of one side.
func sum(stretches []Stretch, scores []Score) (s Sum) {
	var delays []float64
	normal := 0 // seconds
	for i, one := range stretches {
		if one.Seconds == 0 {
			continue
		}
		score := scores[i]
		s.Seconds += one.Seconds
		s.Right += score.Right
		switch {
		case one.Class == recorder.ClassNormal:
			normal += one.Seconds
			s.FalseAlarms += score.FalseAlarms
		case score.Found:
			s.Found++
			if score.DelayS != nil {
				delays = append(delays, *score.DelayS)
			}
		default:
			s.Missed++
		}
	}
	if len(delays) > 0 {
		const middle, all = 50, 100
		median, longest := percentile.Of(delays, middle), percentile.Of(delays, all)
		s.DelayMedianS, s.DelayMaxS = &median, &longest
	}
	if s.NormalHours = (time.Duration(normal) * time.Second).Hours(); normal > 0 {
		perHour := float64(s.FalseAlarms) / s.NormalHours
		s.FalseAlarmsPerHour = &perHour
	}
	return s
}
