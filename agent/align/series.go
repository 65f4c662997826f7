package align

import (
	"slices"
	"time"
)

// series is what a sense delivered, in time order.
type series[T any] struct {
	values []T
	// taken tells when each value was, counted from epoch, the stamp of the first
	// that came: as numbers they are compared at no cost, and every window compares
	// them all.
	taken []time.Duration
	epoch time.Time
	// chosen is what nearest answered last.
	chosen []int
}

// add adds a value; false for one that is not newer than the last.
func (s *series[T]) add(t time.Time, value T) bool {
	if s.epoch.IsZero() {
		s.epoch = t
	}
	taken := t.Sub(s.epoch)
	if n := len(s.taken); n > 0 && taken <= s.taken[n-1] {
		return false
	}
	s.values, s.taken = append(s.values, value), append(s.taken, taken)
	return true
}

// trim drops what was taken before oldest, and the oldest beyond most.
func (s *series[T]) trim(oldest time.Time, most int) {
	least := oldest.Sub(s.epoch)
	n := 0
	for n < len(s.taken) && (s.taken[n] < least || len(s.taken)-n > most) {
		n++
	}
	clear(s.values[:n]) // let go of what they hold
	s.values, s.taken = s.values[n:], s.taken[n:]
}

// nearest gives each of n slots, the first of which stands at start, the index of
// the value nearest to it within half a period, or −1. Half a period is also how
// far apart slots' catchments are, so no value can be nearest to two slots; one
// midway belongs to the later. The answer is the series' own: read it before the
// next call.
func (s *series[T]) nearest(start time.Time, period time.Duration, n int) []int {
	s.chosen = slices.Grow(s.chosen[:0], n)[:n]
	for slot := range s.chosen {
		s.chosen[slot] = -1
	}
	half := (period + 1) / 2
	slot, at := 0, start.Sub(s.epoch) // in whose catchment we are
	nearby := time.Duration(0)        // how far from it its value is
	for i, taken := range s.taken {
		if taken-at <= -half {
			continue // before the first slot
		}
		for taken-at >= half {
			if slot++; slot == n {
				return s.chosen // this value and all that follow come after the last
			}
			at += period
		}
		if away := (taken - at).Abs(); s.chosen[slot] < 0 || away < nearby {
			s.chosen[slot], nearby = i, away
		}
	}
	return s.chosen
}
