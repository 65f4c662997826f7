package decide

import (
	"fmt"
	"math"
	"time"

	"meltwatch/agent/align"
	"meltwatch/drivers"
)

// currentMonitor detects faults of the current sense.
type currentMonitor struct {
	period time.Duration
	// idle is the current in amperes below which the furnace is idle.
	idle float64
	// arrived is the time of the last sample, valid or not; zero before the first.
	arrived time.Time
	// next is the earliest instant of the next sample.
	next    time.Time
	invalid invalidShare
	stuck   stuckReadings
}

const (
	// staleHalves half periods without a sample make the sense stale: it is reported
	// within three periods, and one lost poll is tolerated. The longer of lostAfter and
	// lostPeriods periods without one makes it absent.
	staleHalves = 5
	// leastStale keeps a quick meter live through a moment in which the box is busy: it
	// is a quarter of a slot of the window, so no slot is empty for it.
	leastStale  = 125 * time.Millisecond
	lostAfter   = 30 * time.Second
	lostPeriods = 5
	// settled is the time over which the furnace's current is averaged if the meter is
	// read often enough.
	settled = 2 * time.Second
)

func newCurrentMonitor(period time.Duration) *currentMonitor {
	return &currentMonitor{period: period, invalid: invalidShare{period: period}}
}

// setPeriod applies a changed configuration.
func (m *currentMonitor) setPeriod(period time.Duration) {
	m.period, m.invalid.period = period, period
}

func (m *currentMonitor) sample(s drivers.Sample) {
	m.arrived, m.next = s.Time, s.Next
	if s.Next.IsZero() { // a source polls at most half a period late, and then on time
		m.next = s.Time.Add(m.period / 2)
	}
	m.invalid.sample(s)
	if s.Missing == "" {
		m.stuck.sample(s)
	}
}

// status returns the sense's status at now, and its cause if the status alone does not
// explain it.
func (m *currentMonitor) status(now time.Time) (status drivers.Status, cause string) {
	age := now.Sub(m.arrived)
	switch {
	case m.arrived.IsZero() || age > max(lostAfter, lostPeriods*m.period):
		return drivers.Absent, ""
	case age > m.staleAfter():
		return drivers.Stale, ""
	}
	if cause := m.invalid.cause(); cause != "" {
		return drivers.Invalid, cause
	}
	if cause := m.stuck.cause(m.idle); cause != "" {
		return drivers.Frozen, cause
	}
	return drivers.OK, ""
}

// fails is just after the instant from which the sense is stale without a further sample; zero
// before the first one.
func (m *currentMonitor) fails() time.Time {
	if m.arrived.IsZero() {
		return time.Time{}
	}
	return m.arrived.Add(m.staleAfter() + time.Millisecond)
}

// usable reports whether a verdict may use the current: the sense is live, or its
// newest sample is recent enough. A meter that loses many samples is stale every few
// seconds, and the mean over seconds would never be complete.
func (m *currentMonitor) usable(now time.Time) bool {
	status, _ := m.status(now)
	gap := status == drivers.Stale && now.Sub(m.arrived) <= align.MaxSampleSpan && m.invalid.cause() == "" && m.stuck.cause(m.idle) == ""
	return status.Live() || gap
}

// staleAfter is how long a live sense may be without a sample.
func (m *currentMonitor) staleAfter() time.Duration { return max(staleHalves*m.period/2, leastStale) }

// span is a time in which a live sense reads the current at least once.
func (m *currentMonitor) span() time.Duration { return max(settled, m.staleAfter()) }

// invalidShare counts samples without a valid current. A single one is masked; several
// mean that the meter, its wiring or its configuration is faulty.
type invalidShare struct {
	period time.Duration
	run    int         // of invalid samples up to the newest one
	times  []time.Time // of the invalid samples of the last minute
	last   string      // why the newest of them is invalid
}

const (
	// invalidRun invalid samples in a row, or a share of invalidPart in a minute, make
	// the sense invalid.
	invalidRun  = 3
	invalidPart = 0.05
	// mostInvalid bounds the invalid samples kept of a minute: that share of the quickest
	// meter's.
	mostInvalid = 320
)

func (v *invalidShare) sample(s drivers.Sample) {
	for len(v.times) > 0 && s.Time.Sub(v.times[0]) > time.Minute {
		v.times = v.times[1:]
	}
	if s.Missing == "" {
		v.run = 0
		return
	}
	v.run++
	v.last = s.Missing
	v.times = append(v.times, s.Time)
	if len(v.times) > mostInvalid {
		v.times = v.times[1:]
	}
}

func (v *invalidShare) cause() string {
	switch allowed := v.allowed(); {
	case v.run >= invalidRun:
		return fmt.Sprintf("%s; %d samples in a row", v.last, v.run)
	case len(v.times) > allowed:
		return fmt.Sprintf("%s; %d samples in a minute", v.last, len(v.times))
	default:
		return ""
	}
}

// allowed is the number of invalid samples in a minute that are masked without a fault.
func (v *invalidShare) allowed() int {
	perMinute := float64(time.Minute) / float64(max(v.period, time.Millisecond))
	return min(max(int(math.Ceil(invalidPart*perMinute)), invalidRun)-1, mostInvalid-1)
}
