// Package percentile defines the percentile that the agent, the demo and the
// measurements report: the nearest rank.
package percentile

import (
	"cmp"
	"slices"
)

// Of returns the smallest of the values that at least p percent of them do not exceed,
// for p from 1 to 100, and zero if there are no values. It does not change the order of
// the values.
func Of[T cmp.Ordered](values []T, p int) T {
	if len(values) == 0 {
		var zero T
		return zero
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[max(len(sorted)*p-1, 0)/100]
}
