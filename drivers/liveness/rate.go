package liveness

import (
	"slices"
	"time"
)

const (
	// maxIntervals is how many frame intervals enter the median.
	maxIntervals = 7
	// minIntervals are needed for the median; until then a frame may take
	// initialTimeout.
	minIntervals   = 2
	initialTimeout = 5 * time.Second
	// stallIntervals median intervals without a frame are a stall, if StaleAfter is
	// shorter: one frame may be lost.
	stallIntervals = 2.5
	// gapIntervals median intervals without a frame are a gap: pictures were not decoded or
	// were lost.
	gapIntervals = 3
)

// rate estimates the camera's frame interval. The zero rate is unknown.
type rate struct {
	intervals []time.Duration // the last maxIntervals, oldest first
	last      time.Time
}

// frame notes when a frame was taken, and returns how many are missing before it, 0 for a
// neighbour of the last one. The interval before it counts only where both capture times are
// known.
func (r *rate) frame(taken time.Time, known bool) (missing int) {
	if !r.last.IsZero() && known {
		interval := taken.Sub(r.last)
		if usual := r.median(); usual > 0 && interval > gapIntervals*usual {
			missing = int(min(interval, time.Minute) / usual)
		}
		if len(r.intervals) == maxIntervals {
			r.intervals = r.intervals[1:]
		}
		r.intervals = append(r.intervals, interval)
	}
	r.last = taken
	return missing
}

// median is the median frame interval, 0 while it is unknown.
func (r *rate) median() time.Duration {
	if len(r.intervals) < minIntervals {
		return 0
	}
	sorted := slices.Sorted(slices.Values(r.intervals))
	return sorted[len(sorted)/2]
}

// timeout is how long the next frame may take: the limit, or longer if the camera's own
// rate is slower.
func (r *rate) timeout(limit time.Duration) time.Duration {
	if usual := r.median(); usual > 0 {
		return max(limit, time.Duration(stallIntervals*float64(usual)))
	}
	return max(limit, initialTimeout)
}
