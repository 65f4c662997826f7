package modbus

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"meltwatch/config"
	"meltwatch/drivers"
)

// Proposal is another interpretation of the same registers, and its result.
type Proposal struct {
	// Change is the settings to change, with their keys.
	Change string
	// Current is the resulting reading of the phases, in amperes.
	Current [drivers.Phases]float64
	// Rescaled is set if it fits only with a power of ten, which may be a
	// coincidence.
	Rescaled bool
}

func (p Proposal) String() string {
	return fmt.Sprintf("%s gives %.0f %.0f %.0f A", p.Change, p.Current[0], p.Current[1], p.Current[2])
}

// Propose looks for settings under which the meter's currents fit: the other byte
// orders, the address one lower or higher, types of the same width, a power of ten
// of the scale, a reversed sign. It makes a few reads over a connection of its own
// and returns the fits with the fewest changes, the closest to expected (amperes, 0
// for unknown) first. The meter must carry the currents.
func Propose(ctx context.Context, name string, m config.Meter, expected float64) []Proposal {
	return propose(name, m, expected, readNeighbourhood(ctx, m))
}

// registersAt are registers' contents by function and address, as they came over
// the wire.
type registersAt map[[2]int][2]byte

func (r registersAt) put(q request, wire []byte) {
	for i := 0; 2*i+1 < len(wire); i++ {
		r[[2]int{int(q.Function), int(q.Address) + i}] = [2]byte(wire[2*i:])
	}
}

// field is the wire's bytes of a field, nil where they were not read.
func (r registersAt) field(function, register, size int) []byte {
	var wire []byte
	for i := range size {
		two, ok := r[[2]int{function, register + i}]
		if !ok {
			return nil
		}
		wire = append(wire, two[:]...)
	}
	return wire
}

// blank reports whether all registers of the currents hold the same "not available"
// mark.
func (r registersAt) blank(m config.Meter) bool {
	var all []byte
	for _, quantity := range currents {
		f := m.Fields[quantity]
		all = append(all, r.field(f.Function, f.Address-m.Base, f.Registers())...)
	}
	if len(all) == 0 {
		return false
	}
	_, ok := blankWord(all)
	return ok
}

// readNeighbourhood reads the currents' registers and one more on each side: in one
// read if the device accepts it, otherwise field by field.
func readNeighbourhood(ctx context.Context, m config.Meter) registersAt {
	known := registersAt{}
	l, err := newLine(m)
	if err != nil {
		return known
	}
	defer l.close()
	ask := func(r request) bool {
		got, err := l.read(ctx, byte(m.Unit), m.Timeout, r)
		known.put(r, got.registers)
		return err == nil
	}
	if wide, ok := window(m, 1); ok && ask(wide) {
		return known
	}
	for _, shift := range shifts {
		for _, quantity := range currents {
			f := m.Fields[quantity]
			register := f.Address - m.Base + shift
			if register < 0 || register+f.Registers() > 0x10000 || ctx.Err() != nil {
				continue
			}
			ask(request{Function: byte(f.Function), Address: uint16(register), Quantity: uint16(f.Registers())})
		}
	}
	return known
}

// window is one read of all currents and the given number of registers on each side.
func window(m config.Meter, margin int) (r request, ok bool) {
	first, last := 0x10000, 0
	function := m.Fields[config.FieldCurrentA].Function
	for _, quantity := range currents {
		f := m.Fields[quantity]
		first, last = min(first, f.Address-m.Base), max(last, f.Address-m.Base+f.Registers())
		ok = f.Function == function
	}
	first, last = max(first-margin, 0), min(last+margin, 0x10000)
	return request{Function: byte(function), Address: uint16(first), Quantity: uint16(last - first)},
		ok && last-first <= m.ReadMax
}

var (
	shifts = []int{0, -1, 1}
	// sameWidth groups the types of one width.
	sameWidth = [][]string{{"int16", "uint16"}, {"float32", "int32", "uint32"}}
)

// maxPower bounds the powers of ten that are tried: micro to mega.
const maxPower = 6

// candidate is an interpretation that differs from the configured one.
type candidate struct {
	shift, power int
	order, typ   string // empty: as configured
}

func (c candidate) changes() int {
	n := 0
	for _, changed := range []bool{c.shift != 0, c.power != 0, c.order != "", c.typ != ""} {
		if changed {
			n++
		}
	}
	return n
}

// maxChanges bounds how far from the configured reading a proposal may be.
const maxChanges = 3

// propose tries every candidate and returns the fits with the fewest changes; a power
// of ten counts as an extra change.
func propose(name string, m config.Meter, expected float64, known registersAt) []Proposal {
	if known.blank(m) {
		return nil // the meter has not filled its registers
	}
	best := 2*maxChanges + 2
	var found []Proposal
	for _, c := range candidates(m.Fields[config.FieldCurrentA]) {
		currents, reversed, ok := c.read(m, known)
		if !ok || !Fits(currents, expected, m.MaxCurrent(expected)) {
			continue
		}
		cost := 2 * c.changes()
		if c.power != 0 {
			cost++
		}
		if len(reversed) > 0 {
			cost += 2
		}
		if cost == 0 || cost > best {
			continue
		}
		if cost < best {
			best, found = cost, nil
		}
		found = append(found, Proposal{c.describe(name, m, reversed), currents, c.power != 0})
	}
	slices.SortStableFunc(found, func(a, b Proposal) int {
		return cmp.Compare(distance(a.Current, expected), distance(b.Current, expected))
	})
	return found[:min(len(found), 2)]
}

func candidates(f config.Field) []candidate {
	var all []candidate
	types := sameWidth[f.Registers()-1]
	for _, shift := range shifts {
		for _, order := range config.ByteOrders[:2*f.Registers()] {
			for _, typ := range types {
				for power := -maxPower; power <= maxPower; power++ {
					c := candidate{shift: shift, power: power}
					if f.Registers() == 1 && order == "CDAB" {
						order = "BADC" // a single register's bytes are swapped by this
					}
					if order != f.Order {
						c.order = order
					}
					if typ != f.Type {
						c.typ = typ
					}
					if c.changes() <= maxChanges {
						all = append(all, c)
					}
				}
			}
		}
	}
	return all
}

// apply is the field as the candidate reads it.
func (c candidate) apply(f config.Field) config.Field {
	if c.order != "" {
		f.Order = c.order
	}
	if c.typ != "" {
		f.Type = c.typ
	}
	f.Address += c.shift
	f.Scale *= math.Pow10(c.power)
	return f
}

// read gives the phases under the candidate. Negative ones are negated and named:
// their transformers may be reversed.
func (c candidate) read(m config.Meter, known registersAt) (read [drivers.Phases]float64, reversed []string, ok bool) {
	for phase, quantity := range currents {
		f := c.apply(m.Fields[quantity])
		wire := known.field(f.Function, f.Address-m.Base, f.Registers())
		if wire == nil {
			return read, nil, false
		}
		value, err := decodeField(wire, f)
		if err != nil {
			return read, nil, false
		}
		if value < 0 {
			value = -value
			reversed = append(reversed, quantity)
		}
		read[phase] = value
	}
	return read, reversed, true
}

// describe names the settings to change.
func (c candidate) describe(name string, m config.Meter, reversed []string) string {
	key := "meters." + name
	var all []string
	each := func(setting string, of func(config.Field) string) {
		values := make([]string, drivers.Phases)
		for phase, quantity := range currents {
			values[phase] = of(c.apply(m.Fields[quantity]))
		}
		if values[0] == values[1] && values[1] == values[2] {
			all = append(all, fmt.Sprintf("%s.fields.current_a.%s: %s (current_b, current_c alike)", key, setting, values[0]))
			return
		}
		for phase, quantity := range currents {
			all = append(all, fmt.Sprintf("%s.fields.%s.%s: %s", key, quantity, setting, values[phase]))
		}
	}
	switch {
	case c.shift == 0:
	case c.shift == -1 && m.Base == 0, c.shift == 1 && m.Base == 1:
		all = append(all, fmt.Sprintf("%s.base: %d", key, 1-m.Base))
	default:
		each("address", func(f config.Field) string { return fmt.Sprint(f.Address) })
	}
	if c.order != "" {
		each("order", func(f config.Field) string { return f.Order })
	}
	if c.typ != "" {
		each("type", func(f config.Field) string { return f.Type })
	}
	if c.power != 0 {
		each("scale", func(f config.Field) string { return fmt.Sprintf("%.6g", f.Scale) })
	}
	for _, quantity := range reversed {
		all = append(all, fmt.Sprintf("%s.fields.%s.scale: %.6g (a reversed transformer)", key, quantity, -c.apply(m.Fields[quantity]).Scale))
	}
	return strings.Join(all, ", ")
}

const (
	// minShare and maxShare bound a working furnace's phases, as shares of the expected
	// current.
	minShare, maxShare = 0.3, 2
	// maxPhaseRatio bounds the largest phase, as a multiple of the smallest.
	maxPhaseRatio = 3
	// minWorkingCurrent is the least current of a working furnace without an expected
	// current, in amperes: its arc goes out below.
	minWorkingCurrent = 1000
)

// Fits reports whether three currents are plausible for a working furnace: near
// expected (amperes, 0 for unknown), at most most, and of similar size.
func Fits(current [drivers.Phases]float64, expected, most float64) bool {
	least := float64(minWorkingCurrent)
	if expected > 0 {
		least, most = minShare*expected, min(most, maxShare*expected)
	}
	low, high := slices.Min(current[:]), slices.Max(current[:])
	return low >= least && high <= most && high <= maxPhaseRatio*low
}

// distance is the logarithm of the ratio between the phases' mean and the expected
// current.
func distance(current [drivers.Phases]float64, expected float64) float64 {
	if expected <= 0 {
		return 0
	}
	return math.Abs(math.Log((current[0] + current[1] + current[2]) / drivers.Phases / expected))
}
