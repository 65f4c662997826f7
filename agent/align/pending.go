package align

import "time"

// End returns the end of the window that Window builds at now.
func (a *Aligner) End(now time.Time) time.Time { return a.grid.before(now.Add(-Settle)) }

// BetterEarlier reports whether a window that ends at end would have ended nearer to a
// sample one slot earlier: the samples are slower than the grid, or do not fit into it.
func (a *Aligner) BetterEarlier(end time.Time) bool {
	period := a.geometry.SamplePeriod
	return a.distance(end) > a.distance(end.Add(-period))+period/8
}

// AsGoodEarlier reports whether a window that ends at end could as well end one slot earlier:
// a sample is as near to that slot.
func (a *Aligner) AsGoodEarlier(end time.Time) bool {
	period := a.geometry.SamplePeriod
	return a.distance(end.Add(-period)) <= a.distance(end)+period/8
}

// SlotPeriod is the distance of two sample slots.
func (a *Aligner) SlotPeriod() time.Duration { return a.geometry.SamplePeriod }

// NearestEnd returns the end nearest to t that a window can have.
func (a *Aligner) NearestEnd(t time.Time) time.Time { return a.grid.nearest(t) }

// SamplePending reports whether a sample that is still to come may be part of the window
// that ends at end. next is the earliest instant of the next sample, bound the latest
// instant at which one may arrive.
//
// A later sample takes the newest slot only if it is nearer to the slot than the sample
// that holds it.
func (a *Aligner) SamplePending(end, next, bound time.Time) bool {
	return !next.After(bound) && next.Sub(end) < a.distance(end)
}

// distance is how far the sample of the newest slot is from the slot, half a period if
// the slot is empty.
func (a *Aligner) distance(end time.Time) time.Duration {
	nearest := (a.geometry.SamplePeriod + 1) / 2
	for i := len(a.samples.values) - 1; i >= 0; i-- {
		away := a.samples.values[i].Time.Sub(end)
		nearest = min(nearest, away.Abs())
		if away < 0 {
			break // the older ones are further away
		}
	}
	return nearest
}

// RecentFrame reports whether a frame belongs to the newest slot of the window that ends at
// end, or a later one, while nothing is corrected. The margin to the slot's edge keeps all
// frames of a camera at one distance from their slots.
func (a *Aligner) RecentFrame(end, stamp time.Time) bool {
	return stamp.Sub(end) > -a.geometry.FramePeriod*2/5
}
