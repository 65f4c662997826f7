package liveness

import (
	"slices"
	"time"
)

const (
	// rateSteps is how many frame intervals the median is taken over.
	rateSteps = 7
	// knownFrom is from how many on it is believed, and untilKnown how long the
	// next frame may take before.
	knownFrom  = 2
	untilKnown = 5 * time.Second
	// missedFrames usual intervals without a frame are a stall, if StaleAfter is
	// shorter: one frame may be lost.
	missedFrames = 2.5
)

// rate is the camera's usual frame interval. The zero rate is unknown.
type rate struct {
	steps []time.Duration // the last rateSteps, oldest first
	last  time.Time
}

// frame notes when a frame was taken.
func (r *rate) frame(taken time.Time) {
	if !r.last.IsZero() {
		if len(r.steps) == rateSteps {
			r.steps = r.steps[1:]
		}
		r.steps = append(r.steps, taken.Sub(r.last))
	}
	r.last = taken
}

// usual is the median frame interval, 0 while it is unknown.
func (r *rate) usual() time.Duration {
	if len(r.steps) < knownFrom {
		return 0
	}
	sorted := slices.Sorted(slices.Values(r.steps))
	return sorted[len(sorted)/2]
}

// patience is how long the next frame may take: the limit, or longer where the
// camera's own rate is slower.
func (r *rate) patience(limit time.Duration) time.Duration {
	if usual := r.usual(); usual > 0 {
		return max(limit, time.Duration(missedFrames*float64(usual)))
	}
	return max(limit, untilKnown)
}
