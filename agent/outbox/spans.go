package outbox

import "slices"

// span is the range of numbers from lo to hi, without hi.
type span struct{ lo, hi uint64 }

// spans is a set of numbers, stored as sorted, separate ranges that are not empty.
// Acknowledgements come almost in order, so a few ranges hold any number of them.
type spans []span

// add adds the numbers from lo up to hi and returns how many are new.
func (s *spans) add(lo, hi uint64) (added uint64) {
	if lo >= hi {
		return 0
	}
	from, to := s.touching(lo, hi)
	added = hi - lo
	grown := span{lo, hi}
	for _, old := range (*s)[from:to] {
		if shared := min(hi, old.hi) - max(lo, old.lo); min(hi, old.hi) > max(lo, old.lo) {
			added -= shared
		}
		grown.lo, grown.hi = min(grown.lo, old.lo), max(grown.hi, old.hi)
	}
	*s = slices.Replace(*s, from, to, grown)
	return added
}

// touching returns the index range of the spans that overlap or border on lo up to hi.
func (s *spans) touching(lo, hi uint64) (from, to int) {
	from = slices.IndexFunc(*s, func(old span) bool { return old.hi >= lo })
	if from < 0 {
		return len(*s), len(*s)
	}
	to = from
	for to < len(*s) && (*s)[to].lo <= hi {
		to++
	}
	return from, to
}

// cut removes the numbers from lo up to hi.
func (s *spans) cut(lo, hi uint64) {
	if lo >= hi {
		return
	}
	from, to := s.touching(lo, hi)
	var rest []span
	for _, old := range (*s)[from:to] {
		if old.lo < lo {
			rest = append(rest, span{old.lo, min(old.hi, lo)})
		}
		if old.hi > hi {
			rest = append(rest, span{max(old.lo, hi), old.hi})
		}
	}
	*s = slices.Replace(*s, from, to, rest...)
}

// find is the index of the span that holds number, or −1.
func (s spans) find(number uint64) int {
	i, _ := slices.BinarySearchFunc(s, number, func(one span, n uint64) int {
		if one.hi <= n {
			return -1
		}
		return 1
	})
	if i < len(s) && s[i].lo <= number {
		return i
	}
	return -1
}

func (s spans) has(number uint64) bool { return s.find(number) >= 0 }

// covers reports whether every number from lo up to hi is in the set.
func (s spans) covers(lo, hi uint64) bool {
	i := s.find(lo)
	return lo >= hi || i >= 0 && s[i].hi >= hi
}

// after is the least number from n on that is not in the set.
func (s spans) after(n uint64) uint64 {
	if i := s.find(n); i >= 0 {
		return s[i].hi
	}
	return n
}

// size is the number of elements.
func (s spans) size() (n uint64) {
	for _, one := range s {
		n += one.hi - one.lo
	}
	return n
}
