package decide

import (
	"time"

	"meltwatch/drivers"
)

// meterWatch judges whether the current can be believed.
type meterWatch struct {
	period time.Duration
	last   drivers.Sample
	seen   bool
	since  time.Time // since when the reading has been the same
}

const (
	// staleHalves half periods without a sample make the sense stale, so that it
	// is said within three periods and one lost poll passes; lostAfter makes it
	// absent.
	staleHalves = 5
	lostAfter   = 30 * time.Second
	// frozenAfter is how long three phases may read exactly the same. Even quiet
	// abnormal current moves by tens of amperes a second, and the meters' step is
	// an ampere or less.
	frozenAfter = 15 * time.Second
)

func newMeterWatch(period time.Duration) *meterWatch { return &meterWatch{period: period} }

func (w *meterWatch) sample(s drivers.Sample) {
	idle := s.Current == [drivers.Phases]float64{} // 0 A stays 0 A while the furnace is off
	if !w.seen || s.Current != w.last.Current || idle {
		w.since = s.Time
	}
	w.last, w.seen = s, true
}

func (w *meterWatch) status(now time.Time) drivers.Status {
	age := now.Sub(w.last.Time)
	switch {
	case !w.seen || age > lostAfter:
		return drivers.Absent
	case age > staleHalves*w.period/2:
		return drivers.Stale
	case w.last.Time.Sub(w.since) >= frozenAfter:
		return drivers.Frozen
	default:
		return drivers.OK
	}
}
