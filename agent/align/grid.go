package align

import (
	"math"
	"time"
)

// grid is the time grid of a poll schedule, estimated from jittered stamps.
type grid struct {
	period time.Duration
	anchor time.Time // a point of the grid near the newest stamp; zero before the first
	last   time.Time // the newest stamp
}

const (
	// gain is the share of a stamp's residual by which the grid moves: small enough
	// that ±100 ms of jitter moves a slot by a few milliseconds, large enough to follow
	// a drift of 50 ppm and a restarted schedule. Stamps that are closer than the grid
	// share it, because otherwise each would drag the grid along with it.
	gain = 1.0 / 16
	// idle is the gap after which the schedule counts as restarted.
	idle = 5 * time.Second
)

// observe moves the grid towards a stamp. Only the distance to the nearest grid point
// counts, so any poll rate works.
func (g *grid) observe(stamp time.Time) {
	since := stamp.Sub(g.last)
	g.last = stamp
	if g.anchor.IsZero() || stamp.Sub(g.anchor) > idle {
		g.anchor = stamp
		return
	}
	steps := int64((stamp.Sub(g.anchor) + g.period/2) / g.period)
	point := g.anchor.Add(time.Duration(steps) * g.period)
	residual := stamp.Sub(point)
	sharing := max(math.Round(float64(g.period)/float64(since)), 1)
	g.anchor = point.Add(time.Duration(float64(residual) * gain / sharing))
}

// before returns the last point of the grid that is not after t. Before the first
// sample it returns t.
func (g *grid) before(t time.Time) time.Time {
	if g.anchor.IsZero() {
		return t
	}
	since := t.Sub(g.anchor)
	steps := int64(since / g.period)
	if since < 0 && since%g.period != 0 {
		steps--
	}
	return g.anchor.Add(time.Duration(steps) * g.period)
}

// nearest returns the point of the grid that is nearest to t. Before the first sample it
// returns t.
func (g *grid) nearest(t time.Time) time.Time {
	if g.anchor.IsZero() {
		return t
	}
	return g.before(t.Add(g.period / 2))
}
