package modbus

import (
	"fmt"
	"slices"

	"meltwatch/config"
)

const (
	// maxRegisters is the most that one read may ask for (Application Protocol
	// V1.1b3, §6.3 and §6.4).
	maxRegisters = 125
	// maxHole is how many registers that nobody wants are read along to save a
	// request: a round trip costs more than 16 bytes, even at 9,600 baud.
	maxHole = 8
)

// Request is one read of neighbouring registers.
type Request struct {
	// Function is 3 (holding registers) or 4 (input registers).
	Function byte
	// Address is the first register as it goes over the wire, from 0.
	Address uint16
	// Quantity is how many registers are read, 1–125.
	Quantity uint16
	// fields are decoded from the reply, in order of address.
	fields []placed
	// holes is set where registers that no field asked for are read along. Some
	// devices refuse to read a register that they do not define.
	holes bool
}

// placed is a field and its first register, counted from 0.
type placed struct {
	quantity string // config's name of what it carries: current_a, …
	register int
	field    config.Field
}

func (p placed) end() int { return p.register + registers[p.field.Type] }

// planRequests merges fields into as few requests as possible: fields of one
// function whose registers touch, overlap or leave a hole of at most hole
// registers share one.
func planRequests(fields []placed, hole int) []Request {
	slices.SortFunc(fields, func(a, b placed) int {
		if a.field.Function != b.field.Function {
			return a.field.Function - b.field.Function
		}
		if a.register != b.register {
			return a.register - b.register
		}
		return a.end() - b.end()
	})
	var plan []Request
	for _, f := range fields {
		if n := len(plan); n > 0 && plan[n-1].absorb(f, hole) {
			continue
		}
		plan = append(plan, Request{
			Function: byte(f.field.Function),
			Address:  uint16(f.register),
			Quantity: uint16(registers[f.field.Type]),
			fields:   []placed{f},
		})
	}
	return plan
}

// absorb extends the request by a field that begins at or after its first
// register, and reports whether it could.
func (r *Request) absorb(f placed, hole int) bool {
	start, end := int(r.Address), int(r.Address)+int(r.Quantity)
	if byte(f.field.Function) != r.Function || f.register > end+hole || f.end()-start > maxRegisters {
		return false
	}
	r.holes = r.holes || f.register > end
	r.Quantity = uint16(max(end, f.end()) - start)
	r.fields = append(r.fields, f)
	return true
}

// decode adds the values of a reply's registers to values. It does not touch
// values unless all are good.
func (r Request) decode(wire []byte, values map[string]float64) error {
	if len(wire) != 2*int(r.Quantity) {
		return fmt.Errorf("decode reply: %d bytes where %d registers were asked", len(wire), r.Quantity)
	}
	decoded := make([]float64, len(r.fields))
	for i, f := range r.fields {
		at := 2 * (f.register - int(r.Address))
		value, err := Decode(wire[at:at+2*registers[f.field.Type]], f.field)
		if err != nil {
			return fmt.Errorf("field %s: %w", f.quantity, err)
		}
		decoded[i] = value
	}
	for i, f := range r.fields {
		values[f.quantity] = decoded[i]
	}
	return nil
}

// placeFields turns a checked meter's fields into registers counted from 0.
func placeFields(m config.Meter) []placed {
	fields := make([]placed, 0, len(m.Fields))
	for quantity, f := range m.Fields {
		fields = append(fields, placed{quantity, f.Address - m.Base, f})
	}
	return fields
}

// Plan is the list of requests that one poll of a meter makes. The meter must
// have passed CheckPlan.
func Plan(m config.Meter) []Request {
	return planRequests(placeFields(m), maxHole)
}

// splitPlan is the plan for a device that refuses to read undefined registers.
func splitPlan(m config.Meter) []Request {
	return planRequests(placeFields(m), 0)
}
