package config

import (
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"
)

// LeastPeriod is the shortest period of a meter. The window keeps every sample of two
// minutes, and the queues between meter and decision hold those of a second.
const LeastPeriod = 10 * time.Millisecond

// checkMeters checks every rule about meters; the driver accepts what passes.
func checkMeters(meters map[string]Meter, normalCurrent float64, f report) {
	if len(meters) == 0 {
		f("meters", "is missing: give at least one meter with current_a, current_b and current_c")
		return
	}
	lines := map[string]Serial{}
	carrier := map[string]string{}
	taken := map[string][]extent{}
	for _, name := range slices.Sorted(maps.Keys(meters)) {
		m, under := meters[name], f.under("meters."+name)
		m.check(under)
		if _, phase := m.Fields[FieldCurrentA]; phase && m.CurrentMax > 0 && m.CurrentMax < normalCurrent {
			under("current_max", "%g is below state.normal_current (%g): the furnace's usual current would be missing", m.CurrentMax, normalCurrent)
		}
		if shared, ok := lines[m.URL]; ok && shared != m.Serial && strings.HasPrefix(m.URL, serialScheme) {
			under("serial", "differs from another meter's on the same line: give them the same settings")
		}
		lines[m.URL] = m.Serial
		for _, field := range slices.Sorted(maps.Keys(m.Fields)) {
			if other, taken := carrier[field]; taken {
				under("fields."+field, "is carried by meter %s too: keep one", other)
			}
			carrier[field] = name
		}
		device := fmt.Sprint(m.URL, " ", m.Unit)
		taken[device] = m.checkOverlap(under, name, taken[device])
	}
	checkPhases(carrier, f)
	if carrier[FieldSetPoint] == "" && normalCurrent == 0 {
		f("state.normal_current", "is missing: without the field set_point it is the only way to tell an idle furnace from a quiet, dangerous one; give the usual current in amperes")
	}
}

// checkPhases requires the three currents in one meter: readings of different meters
// would not be simultaneous.
func checkPhases(carrier map[string]string, f report) {
	phases := []string{FieldCurrentA, FieldCurrentB, FieldCurrentC}
	for _, phase := range phases {
		if carrier[phase] == "" {
			f("meters", "no meter carries %s: add it to a meter's fields", phase)
			return
		}
	}
	if a, b, c := carrier[phases[0]], carrier[phases[1]], carrier[phases[2]]; a != b || b != c {
		f("meters", "current_a, current_b and current_c are in different meters: put them in one, because they must be read together")
	}
}

func (m Meter) check(f report) {
	f.url("url", m.URL, "tcp", "rtuovertcp", "rtu")
	checkDevice(f, m.URL)
	least, most := 0.0, 255.0
	if strings.HasPrefix(m.URL, "rtu") { // on a serial line 0 is a broadcast, beyond 247 is reserved
		least, most = 1, 247
	}
	f.between("unit", float64(m.Unit), least, most)
	f.duration("period", m.Period, LeastPeriod, time.Minute)
	f.duration("timeout", m.Timeout, 2*time.Millisecond, 30*time.Second)
	if m.Timeout >= m.Period {
		f("timeout", "%s must be shorter than period (%s): a late reply would disturb the next poll", m.Timeout, m.Period)
	}
	f.duration("settle", m.Settle, 0, 10*time.Second)
	f.duration("gap", m.Gap, 0, time.Second)
	if m.Gap >= m.Period {
		f("gap", "%s must be shorter than period (%s): polls could not keep pace", m.Gap, m.Period)
	}
	f.between("base", float64(m.Base), 0, 1)
	f.between("current_min", m.CurrentMin, -1_000_000, 0)
	if m.CurrentMax != 0 {
		f.between("current_max", m.CurrentMax, 100, 1_000_000)
	}
	f.between("read_max", float64(m.ReadMax), 1, maxReadMax)
	f.between("read_gap", float64(m.ReadGap), 0, maxReadMax-2)
	m.Serial.check(f.under("serial"))
	if len(m.Fields) == 0 {
		f("fields", "is missing: name at least one of %s", strings.Join(fieldNames, ", "))
	}
	for _, name := range slices.Sorted(maps.Keys(m.Fields)) {
		m.Fields[name].check(f.under("fields."+name), name, m)
	}
}

// checkDevice requires a serial line to be a device.
func checkDevice(f report, value string) {
	u, err := url.Parse(value)
	if err != nil || u.Scheme != "rtu" || u.Path == "" {
		return // reported by url
	}
	if clean := path.Clean(u.Path); !strings.HasPrefix(clean, "/dev/") || clean != u.Path {
		f.newer("url", "%q is not a device under /dev: give it as rtu:///dev/ttyUSB0", clip(u.Path))
	}
}

func (s Serial) check(f report) {
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

// FieldNames returns the quantities that a meter's fields can carry.
func FieldNames() []string { return slices.Clone(fieldNames) }

func (r Field) check(f report, name string, m Meter) {
	if !slices.Contains(fieldNames, name) {
		f("", "unknown quantity: known are %s", strings.Join(fieldNames, ", "))
		return
	}
	f.between("address", float64(r.Address), float64(m.Base), 65_535+float64(m.Base))
	if last := 65_535 + m.Base; r.Address == last && r.Registers() > 1 {
		f("address", "%d is the last register, and %s takes %d: correct address or type", last, r.Type, r.Registers())
	}
	if r.Function != 3 && r.Function != 4 {
		f("function", "%d is not 3 (holding registers) or 4 (input registers)", r.Function)
	}
	f.oneOf("type", r.Type, FieldTypes...)
	if r.Registers() > m.ReadMax && m.ReadMax >= 1 {
		f("type", "%s takes %d registers, more than read_max (%d): raise read_max", r.Type, r.Registers(), m.ReadMax)
	}
	f.oneOf("order", r.Order, ByteOrders...)
	f.between("bit", float64(r.Bit), 0, 15)
	if r.Scale == 0 {
		f("scale", "0 would turn every value into the offset: leave it out for 1")
	}
	if wantBit := slices.Contains(bitFields, name); wantBit != (r.Type == "bit") {
		f("type", "%s wants %s", name, map[bool]string{true: "type bit", false: "a number type, not bit"}[wantBit])
	}
	least, most := int64(-1<<15), int64(1<<16-1)
	if r.Registers() == 2 {
		least, most = -1<<31, 1<<32-1
	}
	for _, raw := range r.Missing {
		if raw < least || raw > most {
			f("missing", "%d does not fit the registers of %s: want %d to %d", raw, r.Type, least, most)
		}
	}
}

// extent is a field's range in a device's registers.
type extent struct {
	meter, field string
	first, last  int // registers, counted from 0
	of           Field
}

// checkOverlap reports fields that share registers by mistake, and returns the
// occupied registers including this meter's. One register may carry several bits.
func (m Meter) checkOverlap(f report, meter string, taken []extent) []extent {
	for _, name := range slices.Sorted(maps.Keys(m.Fields)) {
		field := m.Fields[name]
		first := field.Address - m.Base
		one := extent{meter, name, first, first + field.Registers() - 1, field}
		for _, other := range taken {
			if one.clashes(other) {
				f.newer("fields."+name+".address", "reads registers of meters.%s.fields.%s: give each quantity its own", other.meter, other.field)
				break
			}
		}
		taken = append(taken, one)
	}
	return taken
}

func (e extent) clashes(other extent) bool {
	if e.of.Function != other.of.Function || e.last < other.first || other.last < e.first || e.field == other.field {
		return false
	}
	return e.of.Type != "bit" || other.of.Type != "bit" || e.of.Bit == other.of.Bit
}
