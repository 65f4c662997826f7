package percentile

import (
	"slices"
	"testing"
)

func TestNearestRank(t *testing.T) {
	hundred := make([]int, 100)
	for i := range hundred {
		hundred[i] = 100 - i
	}
	for _, c := range []struct {
		values  []int
		p, want int
	}{
		{nil, 50, 0},
		{[]int{7}, 1, 7}, {[]int{7}, 100, 7},
		{[]int{2, 1}, 50, 1}, {[]int{2, 1}, 51, 2},
		{[]int{5, 1, 3}, 50, 3}, {[]int{5, 1, 3}, 95, 5},
		{hundred, 1, 1}, {hundred, 50, 50}, {hundred, 95, 95}, {hundred, 100, 100},
	} {
		before := slices.Clone(c.values)
		if got := Of(c.values, c.p); got != c.want {
			t.Errorf("percentile %d of %v: %d, want %d", c.p, c.values, got, c.want)
		}
		if !slices.Equal(before, c.values) {
			t.Errorf("%v was reordered", before)
		}
	}
}
