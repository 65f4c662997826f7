package align

import (
	"slices"
	"time"
)

// series holds the values that a sense delivered, in time order.
type series[T any] struct {
	// values grow at the end and are trimmed at the start; store is where they lie.
	values []T
	store  []T
	// taken holds each value's time since epoch, the stamp of the first value. Every
	// window compares all of them, and durations compare faster than times.
	taken      []time.Duration
	takenStore []time.Duration
	epoch      time.Time
	// chosen is the last result of nearest.
	chosen []int
}

// add appends a value. It returns false for one that is not newer than the last.
func (s *series[T]) add(t time.Time, value T) bool {
	if s.epoch.IsZero() {
		s.epoch = t
	}
	taken := t.Sub(s.epoch)
	if n := len(s.taken); n > 0 && taken <= s.taken[n-1] {
		return false
	}
	s.values, s.store = push(s.values, s.store, value)
	s.taken, s.takenStore = push(s.taken, s.takenStore, taken)
	return true
}

// push appends a value to values, a part of store. At the end of store, which is not
// allocated anew while half of it is free, they move to its start.
func push[T any](values, store []T, value T) (more, room []T) {
	if len(values) < cap(values) {
		return append(values, value), store
	}
	if 2*len(values) >= cap(store) {
		store = make([]T, 0, 2*len(values)+64)
	}
	moved := append(store[:0], values...)
	if rest := store[len(moved):cap(store)]; len(rest) > 0 {
		clear(rest) // release the memory they refer to
	}
	return append(moved, value), store
}

// trim drops the values from before oldest, and the oldest ones beyond a number of
// most.
func (s *series[T]) trim(oldest time.Time, most int) {
	least := oldest.Sub(s.epoch)
	n := 0
	for n < len(s.taken) && (s.taken[n] < least || len(s.taken)-n > most) {
		n++
	}
	clear(s.values[:n]) // release the memory they refer to
	s.values, s.taken = s.values[n:], s.taken[n:]
}

// nearest returns, for each of n slots from start on, the index of the nearest value
// within half a period, or −1. No value is nearest to two slots; one midway belongs to
// the later. The slice belongs to the series and is valid until the next call.
func (s *series[T]) nearest(start time.Time, period time.Duration, n int) []int {
	s.chosen = slices.Grow(s.chosen[:0], n)[:n]
	for slot := range s.chosen {
		s.chosen[slot] = -1
	}
	half := (period + 1) / 2
	slot, at := 0, start.Sub(s.epoch) // the slot that the value may belong to
	nearby := time.Duration(0)        // distance of its value
	for i, taken := range s.taken {
		if taken-at <= -half {
			continue // before the first slot
		}
		for taken-at >= half {
			if slot++; slot == n {
				return s.chosen // this value and all later ones are after the last slot
			}
			at += period
		}
		if away := (taken - at).Abs(); s.chosen[slot] < 0 || away < nearby {
			s.chosen[slot], nearby = i, away
		}
	}
	return s.chosen
}
