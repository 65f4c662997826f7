package decide

import (
	"fmt"
	"math"
	"time"

	"meltwatch/drivers"
)

// currentMonitor judges whether the current can be believed.
type currentMonitor struct {
	period time.Duration
	// arrived is when the last sample was taken, valid or not; zero before the first.
	arrived time.Time
	invalid invalidShare
	stuck   stuckReadings
}

const (
	// staleHalves half periods without a sample make the sense stale, so that it
	// is said within three periods and one lost poll passes; lostAfter makes it
	// absent.
	staleHalves = 5
	lostAfter   = 30 * time.Second
)

func newCurrentMonitor(period time.Duration) *currentMonitor {
	return &currentMonitor{period: period, invalid: invalidShare{period: period}}
}

// setPeriod follows a changed configuration.
func (m *currentMonitor) setPeriod(period time.Duration) {
	m.period, m.invalid.period = period, period
}

func (m *currentMonitor) sample(s drivers.Sample) {
	m.arrived = s.Time
	m.invalid.sample(s)
	if s.Missing == "" {
		m.stuck.sample(s)
	}
}

// status is the sense's status at now, and its cause where the status alone does
// not say it.
func (m *currentMonitor) status(now time.Time) (status drivers.Status, cause string) {
	age := now.Sub(m.arrived)
	switch {
	case m.arrived.IsZero() || age > lostAfter:
		return drivers.Absent, ""
	case age > staleHalves*m.period/2:
		return drivers.Stale, ""
	}
	if cause := m.invalid.cause(); cause != "" {
		return drivers.Invalid, cause
	}
	if cause := m.stuck.cause(); cause != "" {
		return drivers.Frozen, cause
	}
	return drivers.OK, ""
}

// invalidShare counts samples that hold no currents. One is masked and forgotten;
// several say that the meter, its wiring or its configuration is at fault.
type invalidShare struct {
	period time.Duration
	run    int         // invalid samples in a row up to the newest
	times  []time.Time // of the invalid samples of the last minute
	last   string      // why the newest of them is invalid
}

const (
	// invalidRun samples in a row, or invalidPart of a minute's, make the sense
	// invalid.
	invalidRun  = 3
	invalidPart = 0.05
	// mostInvalid bounds what is kept of a minute.
	mostInvalid = 64
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

// allowed is how many invalid samples of a minute are only masked.
func (v *invalidShare) allowed() int {
	perMinute := float64(time.Minute) / float64(max(v.period, time.Millisecond))
	return min(max(int(math.Ceil(invalidPart*perMinute)), invalidRun)-1, mostInvalid-1)
}
