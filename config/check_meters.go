package config

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"
)

func checkMeters(meters map[string]Meter, normalCurrent float64, f fault) {
	if len(meters) == 0 {
		f("meters", "is missing: give at least one meter with current_a, current_b and current_c")
		return
	}
	lines := map[string]Serial{}
	carrier := map[string]string{}
	names := make([]string, 0, len(meters))
	for name := range meters {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		m, under := meters[name], f.under("meters."+name)
		m.check(under)
		if shared, ok := lines[m.URL]; ok && shared != m.Serial && strings.HasPrefix(m.URL, "rtu:") {
			under("serial", "differs from another meter's on the same line: give them the same settings")
		}
		lines[m.URL] = m.Serial
		for field := range m.Fields {
			if other, taken := carrier[field]; taken {
				under("fields."+field, "is carried by meter %s too: keep one", other)
			}
			carrier[field] = name
		}
	}
	checkPhases(carrier, f)
	if carrier[FieldSetPoint] == "" && normalCurrent == 0 {
		f("state.normal_current", "is missing: without the field set_point it alone tells an idle furnace from a quiet, dangerous one; give the usual current in amperes")
	}
}

// checkPhases wants the three currents in one meter: read by different requests
// they would not be of one instant.
func checkPhases(carrier map[string]string, f fault) {
	phases := []string{FieldCurrentA, FieldCurrentB, FieldCurrentC}
	for _, phase := range phases {
		if carrier[phase] == "" {
			f("meters", "no meter carries %s: add it to a meter's fields", phase)
			return
		}
	}
	if a, b, c := carrier[phases[0]], carrier[phases[1]], carrier[phases[2]]; a != b || b != c {
		f("meters", "current_a, current_b and current_c stand in different meters: they must be read together, from one")
	}
}

func (m Meter) check(f fault) {
	f.address("url", m.URL, "tcp", "rtuovertcp", "rtu")
	least, most := 0.0, 255.0
	if strings.HasPrefix(m.URL, "rtu") { // on a serial line 0 is a broadcast, beyond 247 is reserved
		least, most = 1, 247
	}
	f.between("unit", float64(m.Unit), least, most)
	f.lasting("period", m.Period, 50*time.Millisecond, time.Minute)
	f.lasting("timeout", m.Timeout, 10*time.Millisecond, 30*time.Second)
	if m.Timeout >= m.Period {
		f("timeout", "%s must be shorter than period (%s): a late reply would eat the next poll", m.Timeout, m.Period)
	}
	f.lasting("settle", m.Settle, 0, 10*time.Second)
	f.lasting("gap", m.Gap, 0, time.Second)
	f.between("base", float64(m.Base), 0, 1)
	f.between("current_min", m.CurrentMin, -1_000_000, 0)
	f.between("current_max", m.CurrentMax, 100, 1_000_000)
	m.Serial.check(f.under("serial"))
	if len(m.Fields) == 0 {
		f("fields", "is missing: name at least one of %s", strings.Join(fieldNames, ", "))
	}
	names := make([]string, 0, len(m.Fields))
	for name := range m.Fields {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		m.Fields[name].check(f.under("fields."+name), name, m.Base)
	}
}

func (s Serial) check(f fault) {
	if !slices.Contains(baudRates, s.Baud) {
		f("baud", "%d is not one of %s", s.Baud, strings.Trim(fmt.Sprint(baudRates), "[]"))
	}
	if s.DataBits != 8 {
		f("data_bits", "%d is not 8: RTU frames are binary", s.DataBits)
	}
	f.oneOf("parity", s.Parity, "none", "even", "odd")
	f.between("stop_bits", float64(s.StopBits), 1, 2)
}

var (
	baudRates  = []int{1200, 2400, 4800, 9600, 19_200, 38_400, 57_600, 115_200, 230_400, 460_800, 921_600}
	bitFields  = []string{FieldFeeding, FieldExhaust, FieldManual}
	fieldNames = append([]string{FieldCurrentA, FieldCurrentB, FieldCurrentC, FieldSetPoint}, bitFields...)
)

func (r Field) check(f fault, name string, base int) {
	if !slices.Contains(fieldNames, name) {
		f("", "is not a quantity the agent uses: known are %s", strings.Join(fieldNames, ", "))
		return
	}
	f.between("address", float64(r.Address), float64(base), 65_535+float64(base))
	if r.Function != 3 && r.Function != 4 {
		f("function", "%d is not 3 (holding registers) or 4 (input registers)", r.Function)
	}
	f.oneOf("type", r.Type, "int16", "uint16", "int32", "uint32", "float32", "bit")
	f.oneOf("order", r.Order, "ABCD", "CDAB", "BADC", "DCBA")
	f.between("bit", float64(r.Bit), 0, 15)
	if r.Scale == 0 {
		f("scale", "0 would turn every value into the offset: leave it out for 1")
	}
	if wantBit := slices.Contains(bitFields, name); wantBit != (r.Type == "bit") {
		f("type", "%s wants %s", name, map[bool]string{true: "type bit", false: "a number type, not bit"}[wantBit])
	}
}
