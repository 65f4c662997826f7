package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"meltwatch/agent/health"
	"meltwatch/config"
	"meltwatch/drivers"
	"meltwatch/drivers/modbus"
)

// buildMeters: progress is a few good polls in a row of every meter. A single one may
// be luck if the meter answers more slowly than it is polled.
func (a *agent) buildMeters(c config.Config) (*life, error) {
	record := a.board.New(meterLimit)
	polled, seen := newPolled(record), newSteady(c.Meters)
	source, err := modbus.New(c.Meters, a.log.With("part", "meters"), func(r modbus.Report) {
		polled.note(r)
		seen.note(r)
	})
	if err != nil {
		return nil, err
	}
	return &life{
		enter: func() { a.board.Put("meters", record) },
		run: func(ctx context.Context) error {
			return source.Run(ctx, func(s drivers.Sample) {
				if s.Missing == "" { // missing samples are counted but not published
					a.voice.publisher().Sample(sample(s, a.stamper))
				}
				a.loop.Offer(s)
			})
		},
		missing: seen.missing,
	}, nil
}

// steady counts each meter's good polls in a row.
type steady struct {
	want map[string]int

	mu    sync.Mutex
	good  map[string]int
	fault map[string]error
}

// slowPoll is the period from which on one good poll must do: several would take
// longer than the deadline.
const slowPoll = 5 * time.Second

func newSteady(meters map[string]config.Meter) *steady {
	s := &steady{want: map[string]int{}, good: map[string]int{}, fault: map[string]error{}}
	for name, m := range meters {
		s.want[name] = 3
		if m.Period >= slowPoll {
			s.want[name] = 1
		}
	}
	return s
}

func (s *steady) note(r modbus.Report) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.good[r.Meter] >= s.want[r.Meter] {
		return
	}
	s.good[r.Meter]++
	if fault := pollFault(r); fault != nil {
		s.good[r.Meter], s.fault[r.Meter] = 0, fault
	}
}

func (s *steady) missing() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, want := range s.want {
		if s.good[name] >= want {
			continue
		}
		cause := s.fault[name]
		if cause == nil {
			cause = errNothingYet
		}
		return fmt.Errorf("meters.%s: not %d good polls in a row: %w", name, want, cause)
	}
	return nil
}

// polled turns the polls' reports into the meters' record on the health board. It
// is called for one report at a time.
type polled struct {
	record *health.Part
	latest map[string]modbus.Report // by meter
}

func newPolled(record *health.Part) *polled {
	return &polled{record, map[string]modbus.Report{}}
}

// note takes a report. After a failed poll the loop still counts as running.
func (p *polled) note(r modbus.Report) {
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
	p.record.Remark(remarks(p.latest))
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

// remarks are the missing optional quantities and the devices' unusual behaviour, by
// key.
func remarks(latest map[string]modbus.Report) (degraded, manners []string) {
	for _, name := range slices.Sorted(maps.Keys(latest)) {
		for _, missing := range latest[name].Degraded {
			degraded = append(degraded, "meters."+name+".fields."+missing)
		}
		for _, manner := range latest[name].Manners {
			manners = append(manners, "meters."+name+": "+manner)
		}
	}
	return degraded, manners
}
