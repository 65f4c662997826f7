package liveness

import (
	"math"
	"time"
)

// noTime marks a frame without a presentation time.
const noTime = time.Duration(math.MinInt64)

// Presentation turns a decoder's time in milliseconds into a duration: noTime if it
// is not a number, or further from zero than any stream lasts. Decoders mark an
// unknown time by the least number that their type holds.
func Presentation(milliseconds float64) time.Duration {
	if !(math.Abs(milliseconds) <= float64(maxPresentation/time.Millisecond)) {
		return noTime
	}
	return time.Duration(milliseconds * float64(time.Millisecond))
}

const (
	// maxPresentation bounds a presentation time's distance from zero: RTP's 32 bits at
	// 90 kHz wrap after 13 hours, and an unwrapped count grows for as long as the
	// session lasts.
	maxPresentation = 50 * 365 * 24 * time.Hour
	// maxJump is how far a presentation time can run ahead of the frame's arrival, or
	// fall back, from one frame to the next. A larger jump means a new stream.
	maxJump = 10 * time.Second

	// envelopeSlots × slotLength is the window of the envelope: long enough to hold one
	// undelayed frame, short enough that a camera clock 50 ppm off shifts the result by
	// only 3 ms.
	envelopeSlots = 60
	slotLength    = time.Second

	// maxWaited bounds the presentation time of the frames that waited until the decoder had
	// analysed a new stream.
	maxWaited = 30 * time.Second
)

// clock maps a stream's presentation times to the host's clock.
//
// A frame arrives at its capture time plus a delay that is never negative and that
// varies: network, buffering, decoding. The least recent delay is taken as the stream's
// constant part, so a frame was taken at its presentation time plus the smallest
// (arrival − presentation) of the last minute: the lower envelope. A constant delay,
// such as the encoder's own, cannot be measured here and stays in the result.
//
// The zero clock is ready for use. It is not safe for concurrent use.
type clock struct {
	origin  time.Time // arrival of the first frame; offsets are counted from it
	arrived time.Time // and of the last
	first   time.Duration
	last    time.Duration
	taken   time.Time
	onTime  bool // a frame has arrived without having waited for the decoder
	// least offsets, by slot of arrival; a ring.
	slots [envelopeSlots]slot
}

type slot struct {
	number int64 // which slotLength since origin, from 1; 0 while never used
	least  time.Duration
}

// captureTime maps a presentation time to the instant when the frame was taken. It is never
// after its arrival, and later than the frame before as long as presentation times
// grow. A presentation time that does not grow, or leaps ahead, means that the stream
// restarted, and the clock starts again. A frame without a time counts as taken at its
// arrival, and the clock ignores it.
func (c *clock) captureTime(presentation time.Duration, arrival time.Time) time.Time {
	if !hasTime(presentation) {
		return c.after(arrival, arrival)
	}
	if c.origin.IsZero() || presentation <= c.last || c.jumps(presentation, arrival) {
		c.Restart()
		c.origin, c.first = arrival, presentation
	} else if arrival.Sub(c.arrived) >= (presentation-c.last)/2 || presentation-c.first > maxWaited {
		c.onTime = true
	}
	c.last, c.arrived = presentation, arrival
	now := arrival.Sub(c.origin)
	c.observe(int64(now/slotLength)+1, now-presentation)
	return c.after(c.origin.Add(presentation+c.envelope(int64(now/slotLength)+1)), arrival)
}

// waited reports whether the last frame waited until the decoder had analysed a new stream,
// as those before it did. Such frames arrive much faster than they were taken, so that the
// envelope still falls and the intervals between their capture times are too short.
func (c *clock) waited() bool { return !c.origin.IsZero() && !c.onTime }

func hasTime(presentation time.Duration) bool {
	return presentation >= -maxPresentation && presentation <= maxPresentation
}

// jumps reports whether the presentation time ran ahead of the frame's arrival.
func (c *clock) jumps(presentation time.Duration, arrival time.Time) bool {
	return presentation-c.last > arrival.Sub(c.arrived)+maxJump
}

// after keeps capture times in order: while the envelope still falls, a frame can seem
// older than the one before.
func (c *clock) after(taken, arrival time.Time) time.Time {
	if !taken.After(c.taken) {
		taken = earliest(c.taken.Add(time.Microsecond), arrival)
	}
	c.taken = taken
	return taken
}

// Restart discards the envelope, for a stream that is opened again.
func (c *clock) Restart() { *c = clock{taken: c.taken} }

func (c *clock) observe(number int64, offset time.Duration) {
	s := &c.slots[number%envelopeSlots]
	if s.number != number || offset < s.least {
		*s = slot{number, offset}
	}
}

func (c *clock) envelope(now int64) time.Duration {
	least := c.slots[now%envelopeSlots].least
	for _, s := range c.slots {
		if s.number > 0 && now-s.number < envelopeSlots {
			least = min(least, s.least)
		}
	}
	return least
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
