// Package meters follows the polls of every meter: whether they have shown that they
// work, and what health tells of them.
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

// Readiness counts each meter's good polls in a row.
type Readiness struct {
	want map[string]int

	mu    sync.Mutex
	good  map[string]int
	fault map[string]error
}

// SlowPoll is the period from which on one good poll must do: several would take
// longer than the deadline.
const SlowPoll = 5 * time.Second

// NewReadiness wants one to three good polls of each meter.
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

// Note takes a poll's report.
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

// Missing says which meter has not shown yet that it works, nil for none.
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

// Monitor turns the polls' reports into the meters' record on the health registry. It
// is called for one report at a time.
type Monitor struct {
	record *health.Part
	latest map[string]modbus.Report // by meter
}

// NewMonitor returns a monitor that writes to record.
func NewMonitor(record *health.Part) *Monitor {
	return &Monitor{record, map[string]modbus.Report{}}
}

// Note takes a report. After a failed poll the loop still counts as running.
func (p *Monitor) Note(r modbus.Report) {
	p.latest[r.Meter] = r
	var sum modbus.Counters
	var fault error
	for _, name := range slices.Sorted(maps.Keys(p.latest)) {
		one := p.latest[name]
		sum = sum.Plus(one.Counters)
		if fault == nil && pollFault(one) != nil {
			fault = fmt.Errorf("meters.%s: %w", name, pollFault(one))
		}
	}
	p.record.Beat()
	p.record.Count(map[string]uint64{
		"polls": sum.Polls, "errors": sum.Errors, "invalid": sum.Invalid, "missed": sum.Missed, "redials": sum.Redials,
	})
	p.record.Remark(Remarks(p.latest))
	if fault != nil {
		p.record.Fault(fault)
		return
	}
	p.record.OK()
}

// pollFault is why a poll brought no currents: there was no answer, or the currents
// are missing.
func pollFault(r modbus.Report) error {
	if r.Err == nil && r.Invalid != "" {
		return errors.New(r.Invalid)
	}
	return r.Err
}

// Remarks are the missing optional quantities and the devices' unusual behaviour, by
// key.
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

var errNothingYet = errors.New("nothing heard yet")
