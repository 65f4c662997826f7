package decide

import (
	"testing"
	"time"

	"meltwatch/drivers"
)

// A pause of ten polls of a quick meter is a moment in which the box was busy, and no slot
// of the window is empty for it. A meter that is silent for longer is stale.
func TestQuickMeterIsStaleByTime(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		period, silent time.Duration
		want           drivers.Status
	}{
		{10 * time.Millisecond, 100 * time.Millisecond, drivers.OK},
		{10 * time.Millisecond, 130 * time.Millisecond, drivers.Stale},
		{50 * time.Millisecond, 120 * time.Millisecond, drivers.OK},
		{50 * time.Millisecond, 130 * time.Millisecond, drivers.Stale},
		{500 * time.Millisecond, 1200 * time.Millisecond, drivers.OK},
		{500 * time.Millisecond, 1300 * time.Millisecond, drivers.Stale},
	} {
		m := newCurrentMonitor(c.period)
		m.sample(drivers.Sample{Time: now, Current: [drivers.Phases]float64{15_000, 15_000, 15_000}})
		if got, _ := m.status(now.Add(c.silent)); got != c.want {
			t.Errorf("every %s, silent for %s: %s, want %s", c.period, c.silent, got, c.want)
		}
	}
}

// The share of invalid samples that is masked is that of every other meter.
func TestQuickMeterMayMissAsManySamples(t *testing.T) {
	m := newCurrentMonitor(10 * time.Millisecond)
	now := time.Now()
	status := func(invalidEvery int) drivers.Status {
		for i := range 6000 {
			now = now.Add(10 * time.Millisecond)
			s := drivers.Sample{Time: now, Current: [drivers.Phases]float64{15_000 + float64(i%7), 15_000 + float64(i%5), 15_000 + float64(i%3)}}
			if i%invalidEvery == 0 {
				s = drivers.Sample{Time: now, Missing: "out of bounds"}
			}
			m.sample(s)
		}
		got, _ := m.status(now)
		return got
	}
	if got := status(25); got != drivers.OK {
		t.Errorf("4 %% invalid: %s", got)
	}
	if got := status(16); got != drivers.Invalid {
		t.Errorf("6 %% invalid: %s", got)
	}
}
