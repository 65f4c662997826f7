package modbus

import (
	"encoding/binary"
	"fmt"
	"math"

	"meltwatch/config"
)

// Modbus fixes the order of the two bytes inside a register (high byte first:
// Application Protocol V1.1b3, §4.2) but says nothing about values that span
// two registers, so makers differ. With A the most significant byte of a value:
//
//	order   first register   second register
//	ABCD        A B               C D          the common one
//	CDAB        C D               A B          low word first
//	BADC        B A               D C          bytes swapped inside words
//	DCBA        D C               B A          both
//
// A table entry gives, for each byte of the value from A on, its place on the
// wire.
var orders = map[string][4]int{
	"ABCD": {0, 1, 2, 3},
	"CDAB": {2, 3, 0, 1},
	"BADC": {1, 0, 3, 2},
	"DCBA": {3, 2, 1, 0},
}

// Orders are the names of the byte orders, the common one first.
func Orders() []string { return []string{"ABCD", "CDAB", "BADC", "DCBA"} }

// registers is how many 16-bit registers each type takes.
var registers = map[string]int{
	"int16": 1, "uint16": 1, "bit": 1,
	"int32": 2, "uint32": 2, "float32": 2,
}

// Registers is how many registers a value of the type takes, 0 for a type that
// is not known.
func Registers(typ string) int { return registers[typ] }

// Decode turns the registers of one field, as they came over the wire, into its
// value: raw × Scale + Offset, or 0 and 1 for a bit. A number that is not finite
// is an error, because nothing downstream could tell it from a current.
func Decode(wire []byte, f config.Field) (float64, error) {
	size := 2 * registers[f.Type]
	if size == 0 {
		return 0, fmt.Errorf("decode %q: not a known type", f.Type)
	}
	if len(wire) != size {
		return 0, fmt.Errorf("decode %s: %d bytes where %d are needed", f.Type, len(wire), size)
	}
	order, ok := orders[f.Order]
	if !ok {
		return 0, fmt.Errorf("decode %s: %q is not a byte order", f.Type, f.Order)
	}
	bits := assemble(wire, order)
	if f.Type == "bit" {
		return float64(bits >> f.Bit & 1), nil
	}
	value := number(bits, f.Type)*f.Scale + f.Offset
	if !finite(value) {
		return 0, fmt.Errorf("decode %s % x: not a finite number", f.Type, wire)
	}
	return value, nil
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// assemble puts the bytes of one or two registers in the order of significance.
// A single register knows only two orders: as it is, or its bytes swapped.
func assemble(wire []byte, order [4]int) uint32 {
	if len(wire) == 2 {
		return uint32(wire[order[0]&1])<<8 | uint32(wire[order[1]&1])
	}
	var value [4]byte
	for i, place := range order {
		value[i] = wire[place]
	}
	return binary.BigEndian.Uint32(value[:])
}

func number(bits uint32, typ string) float64 {
	switch typ {
	case "int16":
		return float64(int16(bits))
	case "int32":
		return float64(int32(bits))
	case "float32":
		return float64(math.Float32frombits(bits))
	default: // uint16, uint32
		return float64(bits)
	}
}
