package modbus

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"meltwatch/config"
)

// Modbus fixes the order of the two bytes inside a register (high byte first:
// Application Protocol V1.1b3, §4.2) but says nothing about values that span
// two registers, so manufacturers differ. With A the most significant byte of a value:
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

// notAvailableMarks are the register contents that mean "not available", by type and in the
// order of significance. Public register maps agree on 0x8000, 0x80000000 and all
// bits set (SunSpec, SMA), on 0x7FFF and 0x7FFFFFFF for signed types (Sungrow), and
// 0x7FFF is what an analog input reads past its range or with its wire broken (S7).
// 0x8000 of an unsigned type is a plain number: no report names it, and Field.Missing
// can.
var notAvailableMarks = map[string][]uint32{
	"int16":  {0x8000, 0x7fff},
	"uint16": {0xffff},
	"int32":  {0x80000000, 0x7fffffff},
	"uint32": {0xffffffff},
}

// farthest is the magnitude from which a float32 is one of the marks around ±3.4e38
// that mean "not available". Below smallest, the least normal one, it is another
// type's value, or 0x80008000, and would be taken for 0 A.
const (
	minMark   = 1e38
	minNormal = 0x1p-126
)

// blankWords are the contents of registers that a device has not filled yet or does not
// use: all the same.
var blankWords = []uint16{0xffff, 0x8000, 0x7fff}

// blankWord is the word that all registers hold if they are not filled.
func blankWord(wire []byte) (word uint16, ok bool) {
	word = binary.BigEndian.Uint16(wire)
	for ; len(wire) > 0; wire = wire[2:] {
		if binary.BigEndian.Uint16(wire) != word {
			return 0, false
		}
	}
	return word, slices.Contains(blankWords, word)
}

// notAvailable is the error of a field whose registers hold a "not available" mark.
type notAvailable struct {
	// Raw is the registers' content in the order of significance, with its type.
	Raw string
}

func (n notAvailable) Error() string { return n.Raw + " means not available" }

// decodeField turns the registers of one field, as they came over the wire, into its
// value: raw × Scale + Offset, or 0 and 1 for a bit. The error is a NotAvailable if
// the registers hold a mark of their type or of Field.Missing. A value that is not
// finite is an error too: nothing downstream could distinguish it from a current.
func decodeField(wire []byte, f config.Field) (float64, error) {
	bits, err := raw(wire, f)
	if err != nil {
		return 0, err
	}
	if isNotAvailable(bits, f) {
		return 0, notAvailable{rawText(bits, f)}
	}
	if f.Type == "bit" {
		return float64(bits >> f.Bit & 1), nil
	}
	read := number(bits, f.Type)
	if f.Type == "float32" && read != 0 && math.Abs(read) < minNormal {
		return 0, fmt.Errorf("%s: %.2g A cannot be a meter's readings: check address, order and type", rawText(bits, f), read)
	}
	value := read*f.Scale + f.Offset
	if !finite(value) {
		return 0, fmt.Errorf("%s gives a number that is not finite: correct scale and offset", rawText(bits, f))
	}
	return value, nil
}

// raw assembles a field's registers in the order of significance.
func raw(wire []byte, f config.Field) (uint32, error) {
	size := 2 * f.Registers()
	if size == 0 {
		return 0, fmt.Errorf("decode %q: unknown type", f.Type)
	}
	if len(wire) != size {
		return 0, fmt.Errorf("decode %s: %d bytes where %d are needed", f.Type, len(wire), size)
	}
	order, ok := orders[f.Order]
	if !ok {
		return 0, fmt.Errorf("decode %s: unknown byte order %q", f.Type, f.Order)
	}
	return assemble(wire, order), nil
}

// isNotAvailable reports whether the registers hold no value. An entry of
// Field.Missing is met as the number that the type makes of the registers, or as
// their bit pattern.
func isNotAvailable(bits uint32, f config.Field) bool {
	value := number(bits, f.Type)
	if f.Type == "float32" && !(math.Abs(value) < minMark) { // NaN included
		return true
	}
	if slices.Contains(notAvailableMarks[f.Type], bits) {
		return true
	}
	return slices.ContainsFunc(f.Missing, func(mark int64) bool {
		return float64(mark) == value || mark == int64(bits)
	})
}

// rawText formats registers as a manual does, with their type.
func rawText(bits uint32, f config.Field) string {
	return fmt.Sprintf("0x%0*X (%s)", 4*f.Registers(), bits, f.Type)
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
	default: // uint16, uint32, bit
		return float64(bits)
	}
}
