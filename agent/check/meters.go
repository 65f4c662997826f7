package check

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"slices"
	"strings"

	"meltwatch/agent/beside"
	"meltwatch/agent/meters"
	"meltwatch/config"
	"meltwatch/drivers"
	"meltwatch/drivers/modbus"
)

func tryMeters(ctx context.Context, k *checker) outcome {
	detail, err := k.meters(ctx)
	return from(detail, err)
}

func (k *checker) meters(ctx context.Context) (string, error) {
	a, err := k.readMeters(ctx, false)
	return a.detail, err
}

// assessment is what the polls gave. verdict is one of package beside, empty if no valid
// currents came; answered tells that there was an answer, valid or not.
type assessment struct {
	sample          drivers.Sample
	answered        bool
	verdict, detail string
}

// readMeters polls every meter a few times, as run does, and checks whether the currents
// are plausible. With once it stops after a connection that was refused, closed or left
// without an answer: it searches for no settings that would fit, which takes another one.
func (k *checker) readMeters(ctx context.Context, once bool) (assessment, error) {
	polling, cancel := context.WithCancel(ctx)
	defer cancel()
	t := newTrial(k.config.Meters, cancel)
	t.once = once
	source, err := modbus.New(k.config.Meters, slog.New(slog.DiscardHandler), t.note)
	if err != nil {
		return assessment{}, err
	}
	var last drivers.Sample
	if err := source.Run(polling, func(s drivers.Sample) { last = s }); err != nil {
		return assessment{}, err
	}
	answered := len(t.good) > 0
	if err := t.fault(); err != nil {
		return assessment{answered: answered}, err
	}
	if last.Time.IsZero() {
		return assessment{}, fmt.Errorf("no sample within %s", k.timeout)
	}
	search := func(meter string, expected float64) []modbus.Proposal {
		if once && t.latest[meter].Counters.Redials > 0 {
			return nil
		}
		return modbus.Propose(ctx, meter, k.config.Meters[meter], expected)
	}
	verdict, detail, err := k.assess(last, t.remarks(), search)
	return assessment{last, answered, verdict, detail}, err
}

// trial is a few polls of each meter.
type trial struct {
	meters map[string]config.Meter
	end    context.CancelFunc
	// once ends it for a meter whose connection was refused or had to be opened again.
	once   bool
	latest map[string]modbus.Report
	good   map[string]int // answered polls
	bad    map[string]int // failed polls, in a row
	// invalid counts the good polls without currents; why is the reason of the last
	// one.
	invalid int
	why     string
}

const (
	// fewPolls answered polls suffice to learn which reads a device supports.
	fewPolls = 3
	// failedPolls failed polls in a row mean that a device does not answer: one more
	// than a driver needs to find out that an RTU device leaves some reads unanswered.
	failedPolls = 5
	// failedDials failed connections in a row mean that a device is unreachable.
	failedDials = 2
)

func newTrial(meters map[string]config.Meter, end context.CancelFunc) *trial {
	return &trial{meters: meters, end: end, latest: map[string]modbus.Report{}, good: map[string]int{}, bad: map[string]int{}}
}

// note adds a report. The source makes one call at a time.
func (t *trial) note(r modbus.Report) {
	t.latest[r.Meter] = r
	if r.Err == nil {
		t.good[r.Meter]++
		t.bad[r.Meter] = 0
		if r.Invalid != "" {
			t.invalid++
			t.why = r.Invalid
		}
	} else {
		t.bad[r.Meter]++
	}
	for name, m := range t.meters {
		if !t.settled(name, m) {
			return
		}
	}
	t.end()
}

func (t *trial) settled(name string, m config.Meter) bool {
	polls, failures := fewPolls, failedPolls
	unreachable := modbus.Unreachable(t.latest[name].Err)
	if t.once && (unreachable || t.latest[name].Counters.Redials > 0) {
		return true
	}
	if unreachable {
		failures = failedDials
	}
	if m.Period >= meters.SlowPoll {
		polls, failures = 1, 1
	}
	return t.good[name] >= polls || t.bad[name] >= failures
}

// fault returns the last fault of every meter, as on the health topic.
func (t *trial) fault() error {
	var all []error
	for _, name := range slices.Sorted(maps.Keys(t.meters)) {
		switch r, ok := t.latest[name]; {
		case !ok:
			all = append(all, fmt.Errorf("meters.%s: no poll within --timeout: the period is %s", name, t.meters[name].Period))
		case r.Err != nil:
			all = append(all, fmt.Errorf("meters.%s: %w", name, r.Err))
		}
	}
	return errors.Join(all...)
}

// remarks lists the missing optional quantities and the devices' unusual behaviour.
func (t *trial) remarks() []string {
	degraded, manners := meters.Remarks(t.latest)
	all := append(degraded, manners...)
	name, _ := config.CurrentMeter(t.meters)
	if t.invalid > 0 && t.latest[name].Invalid == "" {
		all = append(all, fmt.Sprintf("meters.%s: %d of %d answers were invalid: %s", name, t.invalid, t.good[name], t.why))
	}
	return all
}

const (
	// offShare is the share of the expected current below which the furnace is off.
	offShare = 0.1
	// offCurrent, in amperes, replaces that share if no current is expected. Below it
	// the arc is out.
	offCurrent = 200
	// overShare is the ratio to the expected current that no furnace reaches.
	overShare = 2.5
)

// assess compares the currents with the expected one. If they do not fit, it searches
// for settings under which they do. The verdict is one of package beside, empty where the
// sample has no currents.
func (k *checker) assess(s drivers.Sample, remarks []string, search func(meter string, expected float64) []modbus.Proposal) (verdict, detail string, err error) {
	name, meter := config.CurrentMeter(k.config.Meters)
	expected, of := s.SetPoint, "the set-point"
	if expected == 0 {
		expected, of = k.config.State.NormalCurrent, "state.normal_current"
	}
	propose := func() []modbus.Proposal { return search(name, expected) }
	if s.Missing != "" {
		return "", "", complain(fmt.Sprintf("meters.%s: %s", name, s.Missing), propose(), remarks)
	}
	values := currents(s)
	if expected > 0 && expected < offCurrent {
		return beside.Implausible, "", complain(fmt.Sprintf("meters.%s.fields: %s; %s is %.4g A, too little for an arc: give amperes; if the meter reads kiloamperes, set the scale of its currents and of set_point to 1000",
			name, values, of, expected), nil, remarks)
	}
	if modbus.Fits(s.Current, expected, meter.MaxCurrent(expected)) {
		return beside.Plausible, join(values, remarks), nil
	}
	if isOff(s, expected) {
		all := propose()
		found := slices.DeleteFunc(slices.Clone(all), func(p modbus.Proposal) bool { return p.Rescaled })
		if len(found) > 0 && hasDust(s) {
			return beside.Implausible, "", complain(fmt.Sprintf("meters.%s.fields: %g %g %g A cannot be a meter's readings: check address, order and type",
				name, s.Current[0], s.Current[1], s.Current[2]), found, remarks)
		}
		return beside.Off, join(values, append([]string{"the furnace seems to be off" + hint(all)}, remarks...)), nil
	}
	found := propose()
	most := slices.Max(s.Current[:])
	low := expected > 0 && most < expected // a starting furnace draws less than its set-point
	if low {
		found = slices.DeleteFunc(found, func(p modbus.Proposal) bool { return p.Rescaled })
	}
	if len(found) > 0 || expected > 0 && most > overShare*expected {
		unfit := "are not three phases of one furnace"
		if expected > 0 {
			unfit = fmt.Sprintf("do not fit %s (%.0f A)", of, expected)
		}
		return beside.Implausible, "", complain(fmt.Sprintf("meters.%s.fields: %s %s: check address, order, type and scale", name, values, unfit), found, remarks)
	}
	far := "the phases differ widely"
	if low {
		far = fmt.Sprintf("far below %s (%.0f A)", of, expected)
	}
	return beside.Doubtful, join(values, append([]string{far}, remarks...)), nil
}

func isOff(s drivers.Sample, expected float64) bool {
	limit := float64(offCurrent)
	if expected > 0 {
		limit = offShare * expected
	}
	for _, current := range s.Current {
		if math.Abs(current) >= limit {
			return false
		}
	}
	return true
}

// dust is a current below any meter's resolution, in amperes: registers read with the
// wrong type or order often give less.
const dust = 1e-6

func hasDust(s drivers.Sample) bool {
	return slices.ContainsFunc(s.Current[:], func(current float64) bool { return current != 0 && math.Abs(current) < dust })
}

func currents(s drivers.Sample) string {
	point := "set-point unknown"
	if s.SetPoint != 0 {
		point = fmt.Sprintf("set-point %.0f A", s.SetPoint)
	}
	whole := func(current float64) float64 { return math.Round(current) + 0 } // never -0
	return fmt.Sprintf("%.0f %.0f %.0f A, %s", whole(s.Current[0]), whole(s.Current[1]), whole(s.Current[2]), point)
}

func hint(found []modbus.Proposal) string {
	if len(found) == 0 {
		return ""
	}
	return fmt.Sprintf("; if it is working, %s", found[0])
}

// complain builds an error from the fault and the settings that would fit.
func complain(wrong string, found []modbus.Proposal, remarks []string) error {
	for i, p := range found {
		word := "; set "
		if i > 0 {
			word = "; or "
		}
		wrong += word + p.String()
	}
	return errors.New(join(wrong, remarks))
}

func join(first string, more []string) string {
	return strings.Join(append([]string{first}, more...), "; ")
}
