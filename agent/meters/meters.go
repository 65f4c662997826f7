// Package meters evaluates the polls of every meter: whether each meter is ready, and
// the meters' part of health.
package meters

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"meltwatch/agent/health"
	"meltwatch/config"
	"meltwatch/drivers/modbus"
)

// Readiness counts the good polls in a row of each meter.
type Readiness struct {
	want map[string]int

	mu    sync.Mutex
	good  map[string]int
	fault map[string]error
}

// SlowPoll is the period from which on one good poll suffices: several would take
// longer than the deadline.
const SlowPoll = 5 * time.Second

// NewReadiness requires three good polls of each meter, or one of a slow meter.
func NewReadiness(meters map[string]config.Meter) *Readiness {
	r := &Readiness{want: map[string]int{}, good: map[string]int{}, fault: map[string]error{}}
	for name, m := range meters {
		r.want[name] = 3
		if m.Period >= SlowPoll {
			r.want[name] = 1
		}
	}
	return r
}

// Note counts a poll.
func (r *Readiness) Note(report modbus.Report) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.good[report.Meter] >= r.want[report.Meter] {
		return
	}
	r.good[report.Meter]++
	if fault := pollFault(report); fault != nil {
		r.good[report.Meter], r.fault[report.Meter] = 0, fault
	}
}

// Missing names a meter that is not ready, with the cause, or returns nil.
func (r *Readiness) Missing() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, want := range r.want {
		if r.good[name] >= want {
			continue
		}
		cause := r.fault[name]
		if cause == nil {
			cause = errNothingYet
		}
		return config.KeyErrorf("meters."+name, "not %d good polls in a row: %w", want, cause)
	}
	return nil
}

// Monitor updates the meters' part of health from the polls' reports. It must be called
// for one report at a time.
type Monitor struct {
	record *health.Part
	latest map[string]modbus.Report // by meter
}

// NewMonitor returns a monitor that updates record.
func NewMonitor(record *health.Part) *Monitor {
	return &Monitor{record, map[string]modbus.Report{}}
}

// Note adds a report. After a failed poll the loop still counts as running.
func (m *Monitor) Note(r modbus.Report) {
	m.latest[r.Meter] = r
	var sum modbus.Counters
	var fault error
	for _, name := range slices.Sorted(maps.Keys(m.latest)) {
		one := m.latest[name]
		sum = sum.Plus(one.Counters)
		if fault == nil && pollFault(one) != nil {
			fault = fmt.Errorf("meters.%s: %w", name, pollFault(one))
		}
	}
	m.record.Beat()
	m.record.Count(map[string]uint64{
		"polls": sum.Polls, "errors": sum.Errors, "invalid": sum.Invalid, "missed": sum.Missed, "redials": sum.Redials,
	})
	m.record.Remark(Remarks(m.latest))
	if fault != nil {
		m.record.Fault(fault)
		return
	}
	m.record.OK()
}

// pollFault returns why a poll gave no currents: there was no answer, or a current is
// invalid.
func pollFault(r modbus.Report) error {
	if r.Err == nil && r.Invalid != "" {
		return errors.New(r.Invalid)
	}
	return r.Err
}

// Remarks returns the missing optional quantities and the devices' unusual behaviour,
// each with its key.
func Remarks(latest map[string]modbus.Report) (degraded, manners []string) {
	for _, name := range slices.Sorted(maps.Keys(latest)) {
		for _, missing := range latest[name].Degraded {
			degraded = append(degraded, "meters."+name+".fields."+missing)
		}
		for _, manner := range latest[name].Quirks {
			manners = append(manners, "meters."+name+": "+manner)
		}
	}
	return degraded, manners
}

var errNothingYet = errors.New("no poll yet")
