package modbus

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"meltwatch/config"
	"meltwatch/drivers"
)

// currents are the three quantities that make a sample; one meter holds all.
var currents = [drivers.Phases]string{config.FieldCurrentA, config.FieldCurrentB, config.FieldCurrentC}

// switches are the quantities that are on or off, and their bit in a sample.
var switches = map[string]drivers.Bits{
	config.FieldFeeding: drivers.Feeding,
	config.FieldExhaust: drivers.Exhaust,
	config.FieldManual:  drivers.Manual,
}

// faults collects what is wrong, each under its configuration key.
type faults []error

func (f *faults) add(key, format string, args ...any) {
	*f = append(*f, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...)))
}

// CheckPlan reports everything that keeps the meters from being polled as
// configured, each fault by its key and with its remedy; nil when a plan exists.
func CheckPlan(meters map[string]config.Meter) error {
	var found faults
	owner := map[string]string{} // quantity → meter that carries it
	lines := map[string]string{} // URL → first meter on it
	for _, name := range slices.Sorted(maps.Keys(meters)) {
		m, key := meters[name], "meters."+name
		checkTiming(&found, key, m)
		checkLine(&found, key, m)
		if m.Base != 0 && m.Base != 1 {
			found.add(key+".base", "%d is not how registers are counted; set 0 or 1", m.Base)
		}
		if first, shared := lines[m.URL]; shared && meters[first].Serial != m.Serial {
			found.add(key+".serial", "differs from meters.%s, which shares %s; make both equal", first, m.URL)
		} else if !shared {
			lines[m.URL] = name
		}
		for _, quantity := range slices.Sorted(maps.Keys(m.Fields)) {
			checkField(&found, key+".fields."+quantity, quantity, m)
			if other, taken := owner[quantity]; taken {
				found.add(key+".fields."+quantity, "also in meters.%s; remove one of them", other)
				continue
			}
			owner[quantity] = name
		}
	}
	checkCurrents(&found, owner)
	return errors.Join(found...)
}

func checkCurrents(found *faults, owner map[string]string) {
	holder := owner[currents[0]]
	for _, quantity := range currents {
		switch owner[quantity] {
		case "":
			found.add("meters", "no meter has the field %s; add it beside the other currents", quantity)
		case holder:
		default:
			found.add("meters."+owner[quantity]+".fields."+quantity,
				"must be on one meter with %s, so that the phases are read together", currents[0])
		}
	}
}

func checkTiming(found *faults, key string, m config.Meter) {
	if m.Period <= 0 {
		found.add(key+".period", "%v is not a period; set it above 0, such as 500ms", m.Period)
	}
	if m.Timeout <= 0 || m.Timeout >= m.Period {
		found.add(key+".timeout", "%v must be above 0 and shorter than the period %v", m.Timeout, m.Period)
	}
	if m.Settle < 0 {
		found.add(key+".settle", "%v is negative; set 0 or more", m.Settle)
	}
	if m.Gap < 0 || m.Gap >= max(m.Period, 1) {
		found.add(key+".gap", "%v must be 0 or more and shorter than the period %v", m.Gap, m.Period)
	}
}

func checkLine(found *faults, key string, m config.Meter) {
	a, err := parseAddress(m.URL, m.Serial)
	if err != nil {
		found.add(key+".url", "%v", err)
		return
	}
	if a.scheme == schemeSerial {
		checkSerial(found, key+".serial", m.Serial)
	}
	if m.Unit < 0 || m.Unit > 255 {
		found.add(key+".unit", "%d is not a unit identifier; set 0 to 255", m.Unit)
	} else if a.scheme != schemeTCP && (m.Unit == 0 || m.Unit > 247) {
		found.add(key+".unit", "%d never answers on a serial line; set 1 to 247", m.Unit)
	}
}

func checkSerial(found *faults, key string, s config.Serial) {
	if !knownBaud(s.Baud) {
		found.add(key+".baud", "%d is not a rate this system has; set one of 1200 to 921600, such as 19200", s.Baud)
	}
	if s.DataBits != 8 {
		found.add(key+".data_bits", "%d cannot carry Modbus RTU; set 8", s.DataBits)
	}
	if s.Parity != "none" && s.Parity != "even" && s.Parity != "odd" {
		found.add(key+".parity", "%q is not a parity; set none, even or odd", s.Parity)
	}
	if s.StopBits != 1 && s.StopBits != 2 {
		found.add(key+".stop_bits", "%d is not a number of stop bits; set 1 or 2", s.StopBits)
	}
}

func checkField(found *faults, key, quantity string, m config.Meter) {
	f := m.Fields[quantity]
	_, isSwitch := switches[quantity]
	if !isSwitch && quantity != config.FieldSetPoint && !slices.Contains(currents[:], quantity) {
		found.add(key, "not a quantity this agent knows; use %s", strings.Join(quantities(), ", "))
	}
	if f.Function != 3 && f.Function != 4 {
		found.add(key+".function", "%d does not read registers; set 3 (holding) or 4 (input)", f.Function)
	}
	if _, ok := orders[f.Order]; !ok {
		found.add(key+".order", "%q is not a byte order; set %s", f.Order, strings.Join(Orders(), ", "))
	}
	if registers[f.Type] == 0 {
		found.add(key+".type", "%q is not a type; set %s", f.Type, strings.Join(slices.Sorted(maps.Keys(registers)), ", "))
	}
	if f.Type == "bit" && !isSwitch {
		found.add(key+".type", "a bit cannot carry %s; set a number type", quantity)
	}
	if f.Bit < 0 || f.Bit > 15 {
		found.add(key+".bit", "%d is not in a 16-bit register; set 0 to 15", f.Bit)
	}
	if f.Type != "bit" && (f.Scale == 0 || !finite(f.Scale)) {
		found.add(key+".scale", "%v leaves nothing of the value; set 1 to take it as it is", f.Scale)
	}
	if !finite(f.Offset) {
		found.add(key+".offset", "%v is not a finite number; set 0 to add nothing", f.Offset)
	}
	checkRegister(found, key+".address", f, m.Base)
}

func checkRegister(found *faults, key string, f config.Field, base int) {
	if base != 0 && base != 1 {
		return // reported once, by the meter
	}
	first := f.Address - base
	if last := first + max(registers[f.Type], 1) - 1; first < 0 || last > 0xffff {
		found.add(key, "%d in base %d is outside registers %d to %d; correct it or the base",
			f.Address, base, base, base+0xffff)
	}
}

// quantities are the names of all known fields.
func quantities() []string {
	names := slices.Concat(currents[:], []string{config.FieldSetPoint}, slices.Collect(maps.Keys(switches)))
	slices.Sort(names)
	return names
}
