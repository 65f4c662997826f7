package liveness

import "time"

const (
	// envelopeSlots × slotLength is how far back the envelope looks: long enough
	// to meet one undelayed frame, short enough that a camera clock 50 ppm off
	// moves the answer by 3 ms only.
	envelopeSlots = 60
	slotLength    = time.Second
)

// Clock maps a stream's presentation times to the host's clock.
//
// A frame arrives at its own instant plus a delay that is never negative, and
// that varies: network, buffering, decoding. The least delay seen of late is
// taken as the stream's constant part, so a frame was taken at its presentation
// time plus the smallest (arrival − presentation) of the last minute: the lower
// envelope. What is constant in the delay, such as the encoder's own, cannot be
// seen from here and stays in the result.
//
// The zero Clock is ready for use. It is not safe for concurrent use.
type Clock struct {
	origin time.Time // arrival of the first frame; offsets are counted from it
	last   time.Duration
	taken  time.Time
	// least offsets, by slot of arrival; a ring.
	slots [envelopeSlots]slot
}

type slot struct {
	number int64 // which slotLength since origin, from 1; 0 while never used
	least  time.Duration
}

// Taken returns when the frame with the presentation time was taken. It is never
// after its arrival, and later than the frame before as long as presentation
// times grow. A presentation time that does not grow means that the stream began
// anew, and the clock learns it afresh.
func (c *Clock) Taken(presentation time.Duration, arrival time.Time) time.Time {
	if c.origin.IsZero() || presentation <= c.last {
		c.Restart()
		c.origin = arrival
	}
	c.last = presentation
	now := arrival.Sub(c.origin)
	c.note(int64(now/slotLength)+1, now-presentation)
	taken := c.origin.Add(presentation + c.envelope(int64(now/slotLength)+1))
	// While the envelope still falls, a frame can seem older than the one before.
	if !taken.After(c.taken) {
		taken = earlier(c.taken.Add(time.Microsecond), arrival)
	}
	c.taken = taken
	return taken
}

// Restart forgets what was learnt of a stream, for one opened anew.
func (c *Clock) Restart() { *c = Clock{taken: c.taken} }

func (c *Clock) note(number int64, offset time.Duration) {
	s := &c.slots[number%envelopeSlots]
	if s.number != number || offset < s.least {
		*s = slot{number, offset}
	}
}

func (c *Clock) envelope(now int64) time.Duration {
	least := c.slots[now%envelopeSlots].least
	for _, s := range c.slots {
		if s.number > 0 && now-s.number < envelopeSlots {
			least = min(least, s.least)
		}
	}
	return least
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
