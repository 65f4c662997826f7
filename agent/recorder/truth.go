package recorder

import (
	"slices"
	"time"
)

// Truth is what persons say of the seconds of a stretch. Of several labels the one that
// was said last holds.
type Truth struct {
	labels []Label // those that touch the stretch, the one that was said last first
}

// NewTruth returns what labels say of [from, to].
func NewTruth(labels []Label, from, to time.Time) Truth {
	var touching []Label
	for _, l := range labels {
		if !l.To.Before(from) && !l.From.After(to) {
			touching = append(touching, l)
		}
	}
	slices.Reverse(touching) // of several that were said at once, the later one holds
	slices.SortStableFunc(touching, func(a, b Label) int { return b.At.Compare(a.At) })
	return Truth{touching}
}

// At returns the label that holds at an instant, and false if there is none.
func (t Truth) At(at time.Time) (Label, bool) {
	for _, l := range t.labels {
		if !at.Before(l.From) && at.Before(l.To) {
			return l, true
		}
	}
	return Label{}, false
}

// Began is when an abnormal episode began.
func (l Label) Began() time.Time {
	if l.Onset.IsZero() {
		return l.From
	}
	return l.Onset
}

// Scored reports whether an instant within the label is scored: neither a doubtful one, nor
// one of an abnormal stretch before its onset.
func (l Label) Scored(at time.Time) bool {
	switch l.Class {
	case ClassAbnormal:
		return !at.Before(l.Began())
	case ClassNormal:
		return true
	default:
		return false
	}
}

// The values of a second in a table of labels.
const (
	unscoredSecond = -1
	normalSecond   = 0
	abnormalSecond = 1
)

// value is that of a second, and the onset of an abnormal one; with normal a second without a
// label is normal.
func (t Truth) value(at time.Time, normal bool) (value int, onset time.Time) {
	l, said := t.At(at)
	switch {
	case !said && normal, said && l.Class == ClassNormal:
		return normalSecond, onset
	case said && l.Class == ClassAbnormal && l.Scored(at):
		return abnormalSecond, l.Began()
	default:
		return unscoredSecond, onset
	}
}
