package modbus

import (
	"fmt"
	"math"
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
			got, err := Decode(c.wire, c.f)
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
		{"not a number", []byte{0x7f, 0xc0, 0, 0}, float32At(0)},
		{"infinity", []byte{0x7f, 0x80, 0, 0}, float32At(0)},
		{"negative infinity", []byte{0xff, 0x80, 0, 0}, float32At(0)},
		{"scaled out of range", []byte{0x7f, 0x7f, 0xff, 0xff}, config.Field{Type: "float32", Order: "ABCD", Scale: math.MaxFloat64}},
		{"too short", []byte{1, 2}, float32At(0)},
		{"too long", []byte{1, 2, 3, 4, 5, 6}, float32At(0)},
		{"unknown type", []byte{1, 2}, config.Field{Type: "float64", Order: "ABCD"}},
		{"unknown order", []byte{1, 2}, config.Field{Type: "int16", Order: "ACBD"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, err := Decode(c.wire, c.f); err == nil {
				t.Errorf("decoded to %v", got)
			}
		})
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
			m := config.Meter{Base: c.base, Fields: map[string]config.Field{}}
			for i, f := range c.fields {
				m.Fields[fmt.Sprint(i)] = f
			}
			var got []string
			for _, r := range Plan(m) {
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

func TestCheckPlan(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(m map[string]config.Meter)
		want   string
	}{
		{"nothing wrong", func(map[string]config.Meter) {}, ""},
		{"no meter at all", func(m map[string]config.Meter) { delete(m, "main") }, "meters: no meter has the field current_a"},
		{"period missing", edit(func(m *config.Meter) { m.Period = 0 }), "meters.main.period: 0s is not a period"},
		{"timeout as long as the period", edit(func(m *config.Meter) { m.Timeout = m.Period }), "meters.main.timeout: "},
		{"settle below zero", edit(func(m *config.Meter) { m.Settle = -1 }), "meters.main.settle: "},
		{"gap longer than the period", edit(func(m *config.Meter) { m.Gap = m.Period }), "meters.main.gap: "},
		{"base 2", edit(func(m *config.Meter) { m.Base = 2 }), "meters.main.base: 2 is not how registers are counted; set 0 or 1"},
		{"unit 256", edit(func(m *config.Meter) { m.Unit = 256 }), "meters.main.unit: "},
		{"broadcast on a serial line", edit(func(m *config.Meter) { m.URL, m.Unit = "rtuovertcp://a:1", 0 }), "meters.main.unit: 0 never answers"},
		{"URL without port", edit(func(m *config.Meter) { m.URL = "tcp://plc" }), `meters.main.url: "tcp://plc" names no host and port`},
		{"serial URL with two slashes", edit(func(m *config.Meter) { m.URL = "rtu://dev/ttyS0" }), "three slashes"},
		{"unknown scheme", edit(func(m *config.Meter) { m.URL = "udp://plc:502" }), "meters.main.url: \"udp\" is not a kind of line"},
		{"serial line without settings", edit(func(m *config.Meter) { m.URL = "rtu:///dev/ttyS0" }), "meters.main.serial.baud: 0 is not a rate"},
		{"base forgotten", editField(func(f *config.Field) { f.Address = -1 }), "meters.main.fields.current_a.address: -1 in base 0 is outside registers 0 to 65535"},
		{"second register beyond the end", editField(func(f *config.Field) { f.Address = 0xffff }), "meters.main.fields.current_a.address: "},
		{"function 6 writes", editField(func(f *config.Field) { f.Function = 6 }), "meters.main.fields.current_a.function: 6 does not read registers; set 3"},
		{"type in another's words", editField(func(f *config.Field) { f.Type = "REAL" }), "meters.main.fields.current_a.type: \"REAL\" is not a type; set bit, float32"},
		{"order in another's words", editField(func(f *config.Field) { f.Order = "big" }), "meters.main.fields.current_a.order: "},
		{"a current that is a bit", editField(func(f *config.Field) { f.Type = "bit" }), "a bit cannot carry current_a"},
		{"bit 16", editField(func(f *config.Field) { f.Bit = 16 }), "meters.main.fields.current_a.bit: "},
		{"scale zero", editField(func(f *config.Field) { f.Scale = 0 }), "meters.main.fields.current_a.scale: "},
		{"scale not a number", editField(func(f *config.Field) { f.Scale = math.NaN() }), "meters.main.fields.current_a.scale: "},
		{"offset infinite", editField(func(f *config.Field) { f.Offset = math.Inf(1) }), "meters.main.fields.current_a.offset: "},
		{"unknown quantity", edit(func(m *config.Meter) { m.Fields["voltage_a"] = float32At(9) }), "meters.main.fields.voltage_a: not a quantity"},
		{"phases on two meters", func(m map[string]config.Meter) {
			delete(m["main"].Fields, "current_c")
			m["other"] = other("current_c")
		}, "meters.other.fields.current_c: must be on one meter with current_a"},
		{"one quantity twice", func(m map[string]config.Meter) { m["other"] = other("current_c") }, "meters.other.fields.current_c: also in meters.main; remove one of them"},
		{"serial settings differ on one line", func(m map[string]config.Meter) {
			o := other("set_point")
			o.Serial.Baud = 9600
			m["other"] = o
		}, "meters.other.serial: differs from meters.main"},
	} {
		t.Run(c.name, func(t *testing.T) {
			meters := map[string]config.Meter{"main": meter("tcp://127.0.0.1:502", 1)}
			c.damage(meters)
			err := CheckPlan(meters)
			if c.want == "" {
				if err != nil {
					t.Errorf("error %v, want none", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v\nwant %s", err, c.want)
			}
			if _, newErr := New(meters, quiet(), func(Report) {}); newErr == nil {
				t.Error("New took it all the same")
			}
		})
	}
}

// All faults are reported at once.
func TestCheckPlanReportsAll(t *testing.T) {
	m := meter("tcp://127.0.0.1:502", 300)
	m.Base = 5
	err := CheckPlan(map[string]config.Meter{"main": m})
	for _, key := range []string{"meters.main.unit", "meters.main.base"} {
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%v does not name %s", err, key)
		}
	}
}

func edit(change func(*config.Meter)) func(map[string]config.Meter) {
	return func(m map[string]config.Meter) {
		main := m["main"]
		change(&main)
		m["main"] = main
	}
}

func editField(change func(*config.Field)) func(map[string]config.Meter) {
	return edit(func(m *config.Meter) {
		f := m.Fields[config.FieldCurrentA]
		change(&f)
		m.Fields[config.FieldCurrentA] = f
	})
}

func other(quantity string) config.Meter {
	m := meter("tcp://127.0.0.1:502", 2)
	m.Fields = map[string]config.Field{quantity: float32At(0)}
	return m
}
