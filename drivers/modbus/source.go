// Package modbus reads the furnace's current from meters and PLCs over Modbus
// TCP, RTU on a serial line, and RTU over TCP.
//
// Each connection (a meter's URL) has a goroutine of its own, so meters on different
// connections never wait for one another; meters on one connection take turns. A poll
// is a short list of requests (see newPlan), on a schedule that does not drift. Every
// reply is checked against its request, from the transaction number or CRC to the
// number of bytes; a reply that does not match is an error and never a value.
//
// After an error other than a refusal by the device the connection is closed and
// reopened, because a stream that is out of step by one reply stays so. If the other end
// closed it between two answers, it is reopened in the same poll, otherwise at the
// next tick. Only repeated connection failures, and a silent unit on a shared line,
// are retried at growing intervals, up to 8 s.
//
// Devices differ in which reads they take. A read that fails is divided, down to
// single fields, and the division is kept (see read). Optional quantities do not
// affect the currents: if they fail, they get separate requests at growing intervals.
//
// Values: config.Field says how registers become amperes. A Sample's Time is the
// middle between the first request for the currents and their last reply, its
// Uncertainty half of that span; both come from the host's monotonic clock. A phase
// that the device marks as not available, or that is outside the meter's bounds,
// makes a Sample with Missing set; the samples keep coming.
//
// What may be lost: a tick that comes while the line is busy or waiting is
// skipped and counted in Counters.Missed. Nothing is queued.
package modbus

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"meltwatch/config"
	"meltwatch/drivers"
	"meltwatch/retry"
)

// currents are the three quantities of a sample; one meter carries all of them.
var currents = [drivers.Phases]string{config.FieldCurrentA, config.FieldCurrentB, config.FieldCurrentC}

// switches are the quantities that are on or off, and their bit in a sample.
var switches = map[string]drivers.Bits{
	config.FieldFeeding: drivers.Feeding,
	config.FieldExhaust: drivers.Exhaust,
	config.FieldManual:  drivers.Manual,
}

// quantities are all that a field can carry, in the order in which they are reported.
var quantities = append(currents[:], config.FieldSetPoint, config.FieldFeeding, config.FieldExhaust, config.FieldManual)

// Source polls a set of meters. It is a drivers.Source of samples.
type Source struct {
	meters  map[string]config.Meter
	current string // the meter that carries the three currents
	log     *slog.Logger
	observe func(Report)
	dial    func(context.Context, address) (stream, error)
}

var _ drivers.Source[drivers.Sample] = (*Source)(nil)

// New prepares to poll the meters; it opens nothing yet. The settings must have been
// checked: defaults and bounds belong to the configuration. observe is called for
// every poll, one call at a time, from several goroutines; it must not block.
func New(meters map[string]config.Meter, log *slog.Logger, observe func(Report)) (*Source, error) {
	s := &Source{meters: maps.Clone(meters), log: log, dial: dial}
	var mu sync.Mutex
	s.observe = func(r Report) {
		mu.Lock()
		defer mu.Unlock()
		observe(r)
	}
	if s.current, _ = config.CurrentMeter(meters); s.current == "" {
		return nil, config.KeyErrorf("meters", "no meter carries %s", config.FieldCurrentA)
	}
	return s, nil
}

// Run polls until ctx ends and emits a sample for each answered poll of the meter
// that holds the currents.
func (s *Source) Run(ctx context.Context, emit func(drivers.Sample)) error {
	lines, err := s.pollers(s.delivery(emit))
	if err != nil {
		return err
	}
	var running sync.WaitGroup
	for _, p := range lines {
		running.Go(func() { p.run(ctx) })
	}
	running.Wait()
	return nil
}

// delivery returns the function that makes a sample of each reading of the meter with the
// currents and keeps those of the other meters.
func (s *Source) delivery(emit func(drivers.Sample)) func(*unit, *reading) {
	others := newAuxiliary(s.meters)
	return func(u *unit, got *reading) {
		if u.name != s.current {
			others.store(u.name, got)
			return
		}
		next := sample(got, others)
		next.Next = u.tick.after()
		emit(next)
	}
}

// pollers returns one poller per URL.
func (s *Source) pollers(deliver func(*unit, *reading)) (map[string]*poller, error) {
	lines := map[string]*poller{}
	for _, name := range s.meterOrder() {
		m := s.meters[name]
		p := lines[m.URL]
		if p == nil {
			l, err := newLine(s.onLine(m.URL)...)
			if err != nil {
				return nil, fmt.Errorf("meters.%s.%w", name, err)
			}
			l.dial = s.dial
			p = &poller{line: l, observe: s.observe, deliver: deliver}
			lines[m.URL] = p
		}
		p.units = append(p.units, newUnit(name, m, &retry.Faults{Log: s.log.With("meter", name)}))
	}
	return lines, nil
}

// onLine are the meters that share a connection, in meterOrder.
func (s *Source) onLine(url string) (meters []config.Meter) {
	for _, name := range s.meterOrder() {
		if m := s.meters[name]; m.URL == url {
			meters = append(meters, m)
		}
	}
	return meters
}

// meterOrder lists the meters, the one with the currents first: on a shared line it is
// polled first at each tick.
func (s *Source) meterOrder() []string {
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(s.meters)), func(name string) bool { return name == s.current })
	return append([]string{s.current}, names...)
}

// sample merges the readings of the current's meter and the others. An unknown quantity
// is zero.
func sample(got *reading, others *auxiliary) drivers.Sample {
	at := got.time()
	value := func(quantity string) float64 {
		if v, ok := got.values[quantity]; ok {
			return v
		}
		return others.value(quantity, at)
	}
	out := drivers.Sample{
		Time:        at,
		Uncertainty: got.uncertainty(),
		Missing:     got.missing(),
		SetPoint:    value(config.FieldSetPoint),
	}
	if out.Missing == "" {
		for phase, quantity := range currents {
			out.Current[phase] = got.values[quantity]
		}
	}
	for quantity, bit := range switches {
		if value(quantity) != 0 {
			out.Bits |= bit
		}
	}
	return out
}

// auxiliaryPeriods is for how many of its own periods another meter's value is valid.
const auxiliaryPeriods = 3

// auxiliary keeps the latest reading of each meter that carries no currents.
type auxiliary struct {
	lifetime map[string]time.Duration

	mu     sync.Mutex
	latest map[string]*latest
}

// latest is the newest reading of a meter.
type latest struct {
	taken  time.Time
	values map[string]float64
}

func newAuxiliary(meters map[string]config.Meter) *auxiliary {
	a := &auxiliary{lifetime: map[string]time.Duration{}, latest: map[string]*latest{}}
	for name, m := range meters {
		a.lifetime[name] = auxiliaryPeriods * m.Period
		a.latest[name] = &latest{values: map[string]float64{}}
	}
	return a
}

func (a *auxiliary) store(meter string, got *reading) {
	a.mu.Lock()
	defer a.mu.Unlock()
	l := a.latest[meter]
	l.taken = got.time()
	clear(l.values)
	maps.Copy(l.values, got.values)
}

// value returns a quantity from the readings that are still valid at t, 0 if none holds it.
func (a *auxiliary) value(quantity string, t time.Time) float64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	for meter, l := range a.latest {
		if v, ok := l.values[quantity]; ok && t.Sub(l.taken) <= a.lifetime[meter] {
			return v
		}
	}
	return 0
}
