package outbox

import (
	"math/rand/v2"
	"testing"
)

// The ranges must equal a plain set after any operations.
func TestSpansAgreeWithASet(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var s spans
	set := map[uint64]bool{}
	for range 5000 {
		lo := uint64(r.IntN(60))
		hi := lo + uint64(r.IntN(6))
		if r.IntN(2) == 0 {
			before := len(set)
			for n := lo; n < hi; n++ {
				set[n] = true
			}
			if added := s.add(lo, hi); int(added) != len(set)-before {
				t.Fatalf("add %d–%d counted %d, want %d", lo, hi, added, len(set)-before)
			}
		} else {
			s.cut(lo, hi)
			for n := lo; n < hi; n++ {
				delete(set, n)
			}
		}
		for n := range uint64(70) {
			if s.has(n) != set[n] {
				t.Fatalf("%v has %d: %t", s, n, s.has(n))
			}
			if free := s.after(n); set[n] && (free <= n || set[free] || !s.covers(n, free)) || !set[n] && free != n {
				t.Fatalf("%v: first gap from %d on is %d", s, n, free)
			}
		}
		for i := 1; i < len(s); i++ {
			if s[i].lo <= s[i-1].hi {
				t.Fatalf("%v: spans touch", s)
			}
		}
		if int(s.size()) != len(set) {
			t.Fatalf("%v: size %d, want %d", s, s.size(), len(set))
		}
	}
}
