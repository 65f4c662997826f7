package align

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// The single pass gives the same result as comparing every value with every slot.
func TestNearestIsTheNearest(t *testing.T) {
	random := rand.New(rand.NewPCG(2, 2))
	for range 20_000 {
		period := time.Duration(1 + random.IntN(9)) // short, so that many values are midway between slots
		n := 1 + random.IntN(6)
		var s series[int]
		at := start.Add(-2 * period)
		for i := range random.IntN(20) {
			at = at.Add(time.Duration(1 + random.Int64N(2*int64(period))))
			s.add(at, i)
		}
		if len(s.taken) > 0 {
			s.trim(s.epoch.Add(s.taken[random.IntN(len(s.taken))]), len(s.values))
		}
		want := slices.Repeat([]int{-1}, n)
		for slot := range want {
			nearby := period
			for i, taken := range s.taken {
				off := s.epoch.Add(taken).Sub(start.Add(time.Duration(slot) * period))
				if -period < 2*off && 2*off < period || slot > 0 && 2*off == -period {
					if off.Abs() < nearby {
						want[slot], nearby = i, off.Abs()
					}
				}
			}
		}
		if got := s.nearest(start, period, n); !slices.Equal(got, want) {
			t.Fatalf("%d slots every %d of values taken at %v: %v, want %v", n, period, s.taken, got, want)
		}
	}
}
