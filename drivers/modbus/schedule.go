package modbus

import (
	"math/rand/v2"
	"time"
)

// schedule is the grid start + n·period on which a meter is polled. It never
// drifts: a late poll does not move the ticks after it.
type schedule struct {
	start  time.Time
	period time.Duration
	n      int64 // the next tick
}

func (s *schedule) due() time.Time { return s.start.Add(time.Duration(s.n) * s.period) }

// skip passes over the ticks that are more than half a period late at now, and
// returns how many. A tick less late than that is still nearest to its own
// instant and is worth a poll.
func (s *schedule) skip(now time.Time) uint64 {
	late := now.Sub(s.due()) - s.period/2
	if late <= 0 {
		return 0
	}
	missed := int64((late + s.period - 1) / s.period)
	s.n += missed
	return uint64(missed)
}

const (
	// firstWait follows the second failure in a row; the first is retried at the
	// next tick, because most faults are one bad reply.
	firstWait = 500 * time.Millisecond
	// longestWait bounds how long a healed device goes unnoticed.
	longestWait = 8 * time.Second
)

// backoff is a wait that grows with each failure in a row.
type backoff struct {
	failures int
	until    time.Time
}

// fail notes a failure. The wait is drawn between half and all of its nominal
// length, so that many agents do not return to one gateway together.
func (b *backoff) fail(now time.Time) {
	b.failures++
	if b.failures < 2 {
		return
	}
	wait := longestWait
	if doublings := b.failures - 2; doublings < 5 {
		wait = min(firstWait<<doublings, longestWait)
	}
	b.until = now.Add(wait/2 + rand.N(wait/2))
}

func (b *backoff) reset() { *b = backoff{} }

func (b *backoff) waiting(now time.Time) bool { return now.Before(b.until) }
