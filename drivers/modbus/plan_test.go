package modbus

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"meltwatch/config"
)

func TestDecode(t *testing.T) {
	field := func(typ, order string) config.Field { return config.Field{Type: typ, Order: order, Scale: 1} }
	scaled := config.Field{Type: "uint16", Order: "ABCD", Scale: 0.5, Offset: -3}
	bit := config.Field{Type: "bit", Order: "ABCD", Bit: 9}
	swappedBit := config.Field{Type: "bit", Order: "BADC", Bit: 9}
	for _, c := range []struct {
		name string
		wire []byte
		f    config.Field
		want float64
	}{
		{"float32 ABCD", []byte{0x46, 0x6a, 0x60, 0x00}, field("float32", "ABCD"), 15000},
		{"float32 CDAB", []byte{0x60, 0x00, 0x46, 0x6a}, field("float32", "CDAB"), 15000},
		{"float32 BADC", []byte{0x6a, 0x46, 0x00, 0x60}, field("float32", "BADC"), 15000},
		{"float32 DCBA", []byte{0x00, 0x60, 0x6a, 0x46}, field("float32", "DCBA"), 15000},
		{"int32 below zero", []byte{0xff, 0xff, 0xff, 0xfe}, field("int32", "ABCD"), -2},
		{"uint32 low word first", []byte{0xff, 0xfe, 0xff, 0xff}, field("uint32", "CDAB"), 1<<32 - 2},
		{"int16 below zero", []byte{0xff, 0xfe}, field("int16", "ABCD"), -2},
		{"uint16", []byte{0x12, 0x34}, field("uint16", "ABCD"), 0x1234},
		{"uint16 cares not for the order of words", []byte{0x12, 0x34}, field("uint16", "CDAB"), 0x1234},
		{"uint16 bytes swapped", []byte{0x34, 0x12}, field("uint16", "BADC"), 0x1234},
		{"uint16 all reversed", []byte{0x34, 0x12}, field("uint16", "DCBA"), 0x1234},
		{"scale and offset", []byte{0, 10}, scaled, 2},
		{"bit set", []byte{0x02, 0x00}, bit, 1},
		{"bit clear", []byte{0xfd, 0xff}, bit, 0},
		{"bit with bytes swapped", []byte{0x00, 0x02}, swappedBit, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := decodeField(c.wire, c.f)
			if err != nil || got != c.want {
				t.Errorf("%v, %v; want %v", got, err, c.want)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		wire []byte
		f    config.Field
	}{
		{"scaled out of range", []byte{0x46, 0x6a, 0x60, 0}, config.Field{Type: "float32", Order: "ABCD", Scale: math.MaxFloat64}},
		{"too short", []byte{1, 2}, float32At(0)},
		{"too long", []byte{1, 2, 3, 4, 5, 6}, float32At(0)},
		{"unknown type", []byte{1, 2}, config.Field{Type: "float64", Order: "ABCD"}},
		{"unknown order", []byte{1, 2}, config.Field{Type: "int16", Order: "ACBD"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, err := decodeField(c.wire, c.f); err == nil {
				t.Errorf("decoded to %v", got)
			}
		})
	}
}

// marks are the registers that mean "not available", in the order of significance.
var marks = map[string][][]byte{
	"int16":  {{0x80, 0}, {0x7f, 0xff}},
	"uint16": {{0xff, 0xff}},
	"int32":  {{0x80, 0, 0, 0}, {0x7f, 0xff, 0xff, 0xff}},
	"uint32": {{0xff, 0xff, 0xff, 0xff}},
	"float32": {
		{0x7f, 0xc0, 0, 0}, {0xff, 0xc0, 0, 0}, {0x7f, 0xa0, 0, 1}, // NaN, quiet and signalling
		{0x7f, 0x80, 0, 0}, {0xff, 0x80, 0, 0}, // infinities
		{0x7f, 0x7f, 0xff, 0xff}, {0xff, 0x7f, 0xff, 0xff}, // ±FLT_MAX
		{0x7f, 0x7f, 0xc9, 0x9e}, {0xff, 0x7f, 0xc9, 0x9e}, // ±3.4e38
	},
}

// onWire brings a value's bytes into a byte order.
func onWire(significant []byte, order string) []byte {
	wire := make([]byte, len(significant))
	for i, b := range significant {
		place := orders[order][i]
		if len(significant) == 2 {
			place &= 1
		}
		wire[place] = b
	}
	return wire
}

// Each type's marks are known in every byte order and under any scale, and numbers
// beside them are numbers.
func TestMarksOfAbsence(t *testing.T) {
	for typ, all := range marks {
		for _, order := range config.ByteOrders {
			f := config.Field{Type: typ, Order: order, Scale: 0.001, Offset: 12}
			for _, mark := range all {
				value, err := decodeField(onWire(mark, order), f)
				var absent notAvailable
				if !errors.As(err, &absent) || !strings.Contains(err.Error(), "("+typ+") means not available") {
					t.Errorf("%s %s % x: %v, %v", typ, order, mark, value, err)
				}
			}
		}
	}
	for typ, beside := range map[string][][]byte{
		"int16":   {{0x80, 1}, {0x7f, 0xfe}, {0xff, 0xff}, {0, 0}},
		"uint16":  {{0x80, 0}, {0xff, 0xfe}, {0x7f, 0xff}},
		"int32":   {{0x80, 0, 0, 1}, {0xff, 0xff, 0xff, 0xff}},
		"uint32":  {{0x80, 0, 0, 0}, {0xff, 0xff, 0xff, 0xfe}},
		"float32": {{0x46, 0x6a, 0x60, 0}, {0, 0, 0, 0}, {0x80, 0, 0, 0}},
	} {
		for _, significant := range beside {
			if value, err := decodeField(significant, config.Field{Type: typ, Order: "ABCD", Scale: 1}); err != nil {
				t.Errorf("%s % x: %v, %v", typ, significant, value, err)
			}
		}
	}
}

func TestConfiguredMarksOfAbsence(t *testing.T) {
	for _, c := range []struct {
		typ  string
		mark int64
		wire []byte
	}{
		{"int16", -9999, []byte{0xd8, 0xf1}},
		{"int16", 0xd8f1, []byte{0xd8, 0xf1}},
		{"uint16", 65_000, []byte{0xfd, 0xe8}},
		{"int32", -1, []byte{0xff, 0xff, 0xff, 0xff}},
		{"uint32", 0x7fffffff, []byte{0x7f, 0xff, 0xff, 0xff}},
		{"float32", -9999, []byte{0xc6, 0x1c, 0x3c, 0}},
		{"float32", 0x461c3c00, []byte{0x46, 0x1c, 0x3c, 0}},
		{"bit", 0xffff, []byte{0xff, 0xff}},
	} {
		f := config.Field{Type: c.typ, Order: "ABCD", Scale: 10, Missing: []int64{1, c.mark}}
		if value, err := decodeField(c.wire, f); !errors.As(err, new(notAvailable)) {
			t.Errorf("%s %d: % x is %v, %v", c.typ, c.mark, c.wire, value, err)
		}
		f.Missing = nil
		if _, err := decodeField(c.wire, f); err != nil {
			t.Errorf("%s % x without the mark: %v", c.typ, c.wire, err)
		}
	}
}

func TestPlanMergesFields(t *testing.T) {
	at := func(function, address int, typ string) config.Field {
		return config.Field{Function: function, Address: address, Type: typ, Order: "ABCD", Scale: 1}
	}
	for _, c := range []struct {
		name   string
		base   int
		fields []config.Field
		want   []string // function:address+quantity
	}{
		{"touching fields share a request", 0, []config.Field{at(3, 4, "float32"), at(3, 0, "float32"), at(3, 2, "float32")}, []string{"3:0+6"}},
		{"the manual counts from 1", 1, []config.Field{at(3, 1, "uint16")}, []string{"3:0+1"}},
		{"functions stay apart", 0, []config.Field{at(4, 0, "int16"), at(3, 1, "int16")}, []string{"3:1+1", "4:0+1"}},
		{"a small hole is read along", 0, []config.Field{at(3, 0, "int16"), at(3, 9, "int16")}, []string{"3:0+10"}},
		{"a larger hole is not", 0, []config.Field{at(3, 0, "int16"), at(3, 10, "int16")}, []string{"3:0+1", "3:10+1"}},
		{"two bits of one register are read once", 0, []config.Field{at(3, 7, "bit"), at(3, 7, "bit")}, []string{"3:7+1"}},
		{"overlapping fields are read once", 0, []config.Field{at(3, 0, "uint32"), at(3, 1, "uint16")}, []string{"3:0+2"}},
		{"the last register can be read", 0, []config.Field{at(3, 0xffff, "int16")}, []string{"3:65535+1"}},
		{"never more than 125 registers", 0, ladder(0, 16, 8), []string{"3:0+122", "3:128+2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := config.Meter{Base: c.base, ReadMax: 125, ReadGap: 8, Fields: map[string]config.Field{}}
			for i, f := range c.fields {
				m.Fields[fmt.Sprint(i)] = f
			}
			var got []string
			for _, r := range planOf(m) {
				got = append(got, fmt.Sprintf("%d:%d+%d", r.Function, r.Address, r.Quantity))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

// ladder is float32 fields, each step registers after the one before.
func ladder(from, last, step int) []config.Field {
	var fields []config.Field
	for i := 0; i <= last; i++ {
		fields = append(fields, float32At(from+i*step))
	}
	return fields
}

// A read is divided at its gaps first, then the optional quantities go apart, then
// it is halved, and what cannot be divided is left.
func TestReadsAreDivided(t *testing.T) {
	m := meter("tcp://127.0.0.1:502", 1)
	m.Fields[config.FieldSetPoint] = float32At(6)
	m.Fields[config.FieldFeeding] = config.Field{Address: 12, Function: 3, Type: "bit", Order: "ABCD"}
	m.Fields[config.FieldManual] = config.Field{Address: 12, Function: 3, Type: "bit", Bit: 1, Order: "ABCD"}
	n := newPlan(m)
	for _, want := range [][]string{
		{"0+13"},
		{"0+8", "12+1"},
		{"0+6", "6+2", "12+1"},
		{"0+2", "2+4", "6+2", "12+1"},
		{"0+2", "2+2", "4+2", "6+2", "12+1"},
		{"0+2", "2+2", "4+2", "6+2", "12+1"},
	} {
		var got []string
		for _, r := range n.leaves() {
			got = append(got, fmt.Sprintf("%d+%d", r.Address, r.Quantity))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("reads (-want +got):\n%s", diff)
		}
		divideFirst(n)
	}
}

// divideFirst takes the parts in the place of the first read that has some.
func divideFirst(n *readNode) bool {
	if !n.divided {
		n.divided = len(n.parts) > 0
		return n.divided
	}
	return slices.ContainsFunc(n.parts, divideFirst)
}
