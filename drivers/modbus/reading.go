package modbus

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"meltwatch/config"
)

// reading is the result of one poll of a unit. Each unit has one and fills it anew at each
// poll, so that a poll allocates nothing.
type reading struct {
	values map[string]float64
	raw    map[string]registers // of each value
	lost   map[string]string    // why a quantity has no value
	blank  map[string]uint16    // the common word of registers that are not filled
	// first and last bound the requests that carried the currents, or all requests if
	// the meter has none.
	first, last time.Time
	phases      bool
}

// registers are a field's registers in the order of significance.
type registers struct {
	bits  uint32
	field *config.Field
}

func newReading() reading {
	return reading{values: map[string]float64{}, raw: map[string]registers{}, lost: map[string]string{}, blank: map[string]uint16{}}
}

// reset removes what the last poll read.
func (g *reading) reset() {
	clear(g.values)
	clear(g.raw)
	clear(g.lost)
	clear(g.blank)
	g.first, g.last, g.phases = time.Time{}, time.Time{}, false
}

// decode extracts the fields of a reply. A field without a value does not affect the
// others.
func (g *reading) decode(r request, answer reply) error {
	if len(answer.registers) != 2*int(r.Quantity) {
		return fmt.Errorf("decode reply: %d bytes where %d registers were asked", len(answer.registers), r.Quantity)
	}
	for i := range r.fields {
		f := &r.fields[i]
		at := 2 * (f.register - int(r.Address))
		wire := answer.registers[at : at+2*f.field.Registers()]
		if word, ok := blankWord(wire); ok {
			g.blank[f.quantity] = word
		}
		value, err := decodeField(wire, f.field)
		if err != nil {
			g.lost[f.quantity] = err.Error()
			continue
		}
		g.values[f.quantity] = value
		delete(g.lost, f.quantity)
		if bits, err := raw(wire, f.field); err == nil {
			g.raw[f.quantity] = registers{bits, &f.field}
		}
	}
	g.extend(answer, r.carriesCurrent())
	return nil
}

// extend widens the reading's time by a reply's.
func (g *reading) extend(answer reply, phases bool) {
	switch {
	case g.phases && !phases:
		return
	case phases && !g.phases, g.first.IsZero():
		g.first, g.last, g.phases = answer.sent, answer.received, phases
	}
	if answer.sent.Before(g.first) {
		g.first = answer.sent
	}
	if answer.received.After(g.last) {
		g.last = answer.received
	}
}

// time is the middle of the span, uncertainty half of it.
func (g *reading) time() time.Time            { return g.first.Add(g.uncertainty()) }
func (g *reading) uncertainty() time.Duration { return g.last.Sub(g.first) / 2 }

// String formats the registers as a manual does.
func (r registers) String() string {
	if r.field == nil {
		return ""
	}
	return rawText(r.bits, *r.field)
}

// markLost marks all fields of a request as missing.
func (g *reading) markLost(r request, err error) {
	for _, f := range r.fields {
		g.lost[f.quantity] = err.Error()
	}
}

// validate marks values that are impossible for this furnace as missing. setPoint is
// the last known one, for a reading without one.
func (g *reading) validate(m config.Meter, setPoint float64) {
	g.rejectBlank()
	// The set-point is checked first, because it bounds the phases if nothing else does.
	g.reject(config.FieldSetPoint, func(value float64) string { return implausibleSetPoint(value, m.MaxSetPoint()) })
	most := m.MaxCurrent(max(g.values[config.FieldSetPoint], setPoint))
	for _, phase := range currents {
		g.reject(phase, func(value float64) string { return implausibleCurrent(value, m.CurrentMin, most) })
	}
}

// reject marks a value as missing if against gives a reason.
func (g *reading) reject(quantity string, against func(float64) string) {
	value, read := g.values[quantity]
	if !read {
		return
	}
	if why := against(value); why != "" {
		g.lost[quantity] = fmt.Sprintf("%s gives %s", g.raw[quantity], why)
		delete(g.values, quantity)
	}
}

// rejectBlank marks the currents as missing if all their registers hold the same mark,
// as in a meter that is starting. The number that the type makes of the mark, such as
// −1 A, is not a measurement.
func (g *reading) rejectBlank() {
	word, ok := g.blank[currents[0]]
	for _, quantity := range currents {
		other, also := g.blank[quantity]
		ok = ok && also && other == word
	}
	if !ok {
		return
	}
	for _, quantity := range currents {
		if _, read := g.values[quantity]; read {
			g.lost[quantity] = fmt.Sprintf("0x%04X, as all registers of the currents hold: the meter is starting, or does not use them", word)
			delete(g.values, quantity)
		}
	}
}

// implausibleCurrent is the reason why a phase's current is impossible for a furnace;
// empty if it is possible.
func implausibleCurrent(value, least, most float64) string {
	switch {
	case value > most:
		return fmt.Sprintf("%s A, above current_max (%s A): check address, type, order and scale, or raise current_max",
			amperes(value), amperes(most))
	case value < least:
		return fmt.Sprintf("%s A, below current_min (%s A): a reversed transformer? then set a negative scale; else check type and order",
			amperes(value), amperes(least))
	default:
		return ""
	}
}

// implausibleSetPoint is the same for a set-point.
func implausibleSetPoint(value, most float64) string {
	switch {
	case value < 0:
		return fmt.Sprintf("%s A, a set-point below 0: check address, type, order and scale", amperes(value))
	case value > most:
		return fmt.Sprintf("%s A, a set-point above current_max (%s A): check address, type, order and scale, or raise current_max",
			amperes(value), amperes(most))
	default:
		return ""
	}
}

// amperes formats a current with enough digits to distinguish values.
func amperes(value float64) string { return fmt.Sprintf("%.7g", value) }

func isPhase(quantity string) bool { return slices.Contains(currents[:], quantity) }

// missing is why the reading holds no currents, empty if it holds them.
func (g *reading) missing() string { return strings.Join(g.reasons(isPhase), "; ") }

// degraded lists the optional quantities without a value, each with the reason.
func (g *reading) degraded() []string {
	return g.reasons(func(quantity string) bool { return !isPhase(quantity) })
}

func (g *reading) reasons(of func(quantity string) bool) []string {
	var all []string
	for _, quantity := range quantities {
		if why, lost := g.lost[quantity]; lost && of(quantity) {
			all = append(all, quantity+": "+why)
		}
	}
	return all
}
