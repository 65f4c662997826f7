package modbus

import (
	"time"

	"meltwatch/retry"
)

// schedule is the grid start + n·period on which a meter is polled. It never
// drifts: a late poll does not move the ticks after it.
type schedule struct {
	start  time.Time
	period time.Duration
	n      int64 // the next tick
}

func (s *schedule) due() time.Time { return s.start.Add(time.Duration(s.n) * s.period) }

// after is when the tick after this one is due. No poll begins before its tick.
func (s *schedule) after() time.Time { return s.start.Add(time.Duration(s.n+1) * s.period) }

// skip passes over the ticks that are more than half a period late at now, and
// returns how many. A tick that is less late is still nearest to its own instant, and
// is polled.
func (s *schedule) skip(now time.Time) uint64 {
	late := now.Sub(s.due()) - s.period/2
	if late <= 0 {
		return 0
	}
	missed := int64((late + s.period - 1) / s.period)
	s.n += missed
	return uint64(missed)
}

// backoff is a wait that grows with each consecutive failure.
type backoff struct {
	failures int
	until    time.Time
}

// fail notes a failure. The first is retried at the next tick, because most
// faults are one bad reply.
func (b *backoff) fail(now time.Time) {
	b.failures++
	if b.failures < 2 {
		return
	}
	b.until = now.Add(retry.Wait(b.failures - 1))
}

func (b *backoff) reset() { *b = backoff{} }

func (b *backoff) waiting(now time.Time) bool { return now.Before(b.until) }
