package modbus

import (
	"slices"

	"meltwatch/config"
)

// request is one read of neighbouring registers.
type request struct {
	// Function is 3 (holding registers) or 4 (input registers).
	Function byte
	// Address is the first register as it goes over the wire, from 0.
	Address uint16
	// Quantity is how many registers are read, 1–125.
	Quantity uint16
	// fields are decoded from the reply, in order of address.
	fields []placed
}

// objects is what the request's function reads, in the standard's words.
func (r request) objects() string {
	switch r.Function {
	case 1:
		return "coils"
	case 2:
		return "discrete inputs"
	default:
		return "registers"
	}
}

// dataLength is the number of bytes that the reply holds: two a register, or one for
// eight coils or discrete inputs (Application Protocol V1.1b3, §6.1–6.4).
func (r request) dataLength() int {
	if r.Function == 1 || r.Function == 2 {
		return (int(r.Quantity) + 7) / 8
	}
	return 2 * int(r.Quantity)
}

// placed is a field and its first register, counted from 0.
type placed struct {
	quantity string // config's name of what it carries: current_a, …
	register int
	field    config.Field
}

func (p placed) end() int { return p.register + p.field.Registers() }

// planRequests merges fields into as few requests as possible: fields of one
// function share a request of at most most registers, with at most gap unused
// registers between two of them.
func planRequests(fields []placed, most, gap int) []request {
	slices.SortFunc(fields, func(a, b placed) int {
		if a.field.Function != b.field.Function {
			return a.field.Function - b.field.Function
		}
		if a.register != b.register {
			return a.register - b.register
		}
		return a.end() - b.end()
	})
	var plan []request
	for _, f := range fields {
		if n := len(plan); n > 0 && plan[n-1].absorb(f, most, gap) {
			continue
		}
		plan = append(plan, request{
			Function: byte(f.field.Function),
			Address:  uint16(f.register),
			Quantity: uint16(f.field.Registers()),
			fields:   []placed{f},
		})
	}
	return plan
}

// absorb extends the request by a field at or after its first register, and reports
// whether that was possible.
func (r *request) absorb(f placed, most, gap int) bool {
	start, end := int(r.Address), int(r.Address)+int(r.Quantity)
	if byte(f.field.Function) != r.Function || f.register > end+gap || f.end()-start > most {
		return false
	}
	r.Quantity = uint16(max(end, f.end()) - start)
	r.fields = append(r.fields, f)
	return true
}

// carriesCurrent reports whether the request reads a phase.
func (r request) carriesCurrent() bool { return slices.ContainsFunc(r.fields, isCurrent) }

func isCurrent(p placed) bool { return slices.Contains(currents[:], p.quantity) }

// divide splits the request into smaller ones for the same fields, nil if it cannot be
// split: first without the gaps, then with the currents apart from the optional fields,
// then in halves.
func (r request) divide(most int) []request {
	if finer := planRequests(slices.Clone(r.fields), most, 0); len(finer) > 1 {
		return finer
	}
	var phases, others []placed
	for _, f := range r.fields {
		if isCurrent(f) {
			phases = append(phases, f)
		} else {
			others = append(others, f)
		}
	}
	if len(phases) > 0 && len(others) > 0 {
		return append(planRequests(phases, most, 0), planRequests(others, most, 0)...)
	}
	half := len(r.fields) / 2
	if half == 0 {
		return nil
	}
	finer := append(planRequests(slices.Clone(r.fields[:half]), most, 0), planRequests(slices.Clone(r.fields[half:]), most, 0)...)
	if slices.ContainsFunc(finer, func(part request) bool { return part.Quantity == r.Quantity }) {
		return nil // bits of one register
	}
	return finer
}

// placeFields turns a checked meter's fields into registers counted from 0.
func placeFields(m config.Meter) []placed {
	fields := make([]placed, 0, len(m.Fields))
	for quantity, f := range m.Fields {
		fields = append(fields, placed{quantity, f.Address - m.Base, f})
	}
	return fields
}

// planOf is the list of requests of one poll, as long as the device accepts them all.
// The meter's configuration must have been checked.
func planOf(m config.Meter) []request { return planRequests(placeFields(m), m.ReadMax, m.ReadGap) }
