// Package figures holds what the parts of the performance bench measure, and writes the
// page of it. It does no measurement.
//
// A part measures every figure once in each round, ours, the peer's and the limit's in
// turn, so that a change of the machine's speed meets all of them. A row of the page is the
// median over the rounds; a ratio is the median of the rounds' own ratios.
package figures

import (
	"math"
	"slices"
)

// Round holds the figures of one round by name. A figure that could not be measured is
// left out.
type Round map[string]float64

// Table is one table of the page.
type Table struct {
	Title string
	// Text explains what is compared, in Markdown.
	Text string
	Rows []Row
}

// Row is one line of a table. Ours, Peer and Limit name figures; an empty name leaves its
// column empty.
type Row struct {
	What              string
	Unit              string
	Ours, Peer, Limit string
	Bound             Bound
}

// Bound is what a row must show. The zero Bound demands nothing.
type Bound struct {
	Of   Subject
	Most float64 // largest value, unless Least is above 0
	// Least is the smallest value.
	Least float64
}

// Subject is what a bound is about.
type Subject int

// The subjects.
const (
	Nothing Subject = iota
	// Value is our figure itself.
	Value
	// PeerRatio is our figure divided by the peer's.
	PeerRatio
	// LimitRatio is our figure divided by the limit's.
	LimitRatio
)

// AtMost bounds a subject from above, AtLeast from below.
func AtMost(of Subject, most float64) Bound { return Bound{Of: of, Most: most} }

// AtLeast bounds a subject from below.
func AtLeast(of Subject, least float64) Bound { return Bound{Of: of, Least: least} }

// met reports whether a value is within the bound.
func (b Bound) met(value float64) bool {
	if b.Least > 0 {
		return value >= b.Least
	}
	return value <= b.Most
}

// series is one figure over the rounds, or the ratio of two; only rounds that have it.
func series(rounds []Round, name, over string) (values []float64) {
	if name == "" {
		return nil
	}
	for _, r := range rounds {
		v, ok := r[name]
		if over != "" {
			divisor, known := r[over]
			ok = ok && known && divisor != 0
			v /= divisor
		}
		if ok && !math.IsNaN(v) && !math.IsInf(v, 0) {
			values = append(values, v)
		}
	}
	return values
}

// median is the middle value, or the mean of the two in the middle. ok is false without
// values.
func median(values []float64) (middle float64, ok bool) {
	if len(values) == 0 {
		return 0, false
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2, true
}

// spread is the distance between the largest and the smallest value.
func spread(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	return slices.Max(values) - slices.Min(values)
}
