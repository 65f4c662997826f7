package config

import (
	"strings"
	"time"
)

// Meter is one Modbus unit on one connection.
type Meter struct {
	// URL is its address: tcp://host:port, rtu:///dev/ttyUSB0, or
	// rtuovertcp://host:port. Meters with one URL share the connection.
	URL string `yaml:"url"`
	// Serial line settings; used by rtu only.
	Serial Serial `yaml:"serial"`
	// Unit is the Modbus unit identifier: 0–255 over TCP, 1–247 on a serial line.
	Unit int `yaml:"unit"`
	// Period between polls, on an absolute schedule.
	Period time.Duration `yaml:"period"`
	// Timeout of one request; must be shorter than Period.
	Timeout time.Duration `yaml:"timeout"`
	// Settle is the wait between connecting and the first request, for devices that
	// drop early requests.
	Settle time.Duration `yaml:"settle"`
	// Gap is the least time between a reply and the next request.
	Gap time.Duration `yaml:"gap"`
	// Base is the number of the first register in the device's manual: 0 or 1.
	Base int `yaml:"base"`
	// CurrentMin and CurrentMax bound what a phase of this furnace can draw, in
	// amperes after scale and offset: a reading outside is missing. The set-point
	// must lie between 0 and CurrentMax. A CurrentMax of 0 leaves the bound to the usual
	// current, see MostCurrent: to State.NormalCurrent, or else to the set-point.
	CurrentMin float64 `yaml:"current_min"`
	CurrentMax float64 `yaml:"current_max"`
	// ReadMax is the most registers per request, 1–125. ReadGap is the most unused
	// registers that a request may include between two fields, to save a request; 0
	// if the device refuses them.
	ReadMax int `yaml:"read_max"`
	ReadGap int `yaml:"read_gap"`
	// Fields by the quantity they carry; FieldNames lists the known ones.
	Fields map[string]Field `yaml:"fields"`
}

const (
	// defaultMaxCurrent is twice the range of the meters of known furnaces, in amperes.
	defaultMaxCurrent = 40_000
	// physicalMaxCurrent is more than any electric furnace draws on a phase, in amperes.
	physicalMaxCurrent = 200_000
)

// MaxCurrent is the most that a phase can draw, in amperes: CurrentMax if set,
// otherwise 40 kA or, if more, three times the usual current. usual is 0 if unknown.
func (m Meter) MaxCurrent(usual float64) float64 {
	if m.CurrentMax > 0 {
		return m.CurrentMax
	}
	return max(defaultMaxCurrent, 3*usual)
}

// MaxSetPoint bounds the set-point, in amperes.
func (m Meter) MaxSetPoint() float64 {
	if m.CurrentMax > 0 {
		return m.CurrentMax
	}
	return physicalMaxCurrent
}

// Serial is a serial line's settings.
type Serial struct {
	Baud     int    `yaml:"baud"`
	DataBits int    `yaml:"data_bits"`
	Parity   string `yaml:"parity"` // none, even, odd
	StopBits int    `yaml:"stop_bits"`
}

// Field is the location of a quantity in a meter's registers.
type Field struct {
	// Address in the meter's base.
	Address int `yaml:"address"`
	// Function is the Modbus function code: 3 (holding) or 4 (input registers).
	Function int `yaml:"function"`
	// Type is int16, uint16, int32, uint32, float32 or bit.
	Type string `yaml:"type"`
	// Bit is the number of the bit, 0–15 from the least significant, of a bit field.
	Bit int `yaml:"bit"`
	// Order of the bytes on the wire: ABCD, CDAB, BADC or DCBA. 16-bit types use
	// only whether their two bytes are swapped (BADC and DCBA).
	Order string `yaml:"order"`
	// Missing lists raw register values, before Scale, that mean "not available",
	// in addition to those of the type itself (see drivers/modbus).
	Missing []int64 `yaml:"missing"`
	// The value is raw × Scale + Offset, in amperes for currents.
	Scale  float64 `yaml:"scale"`
	Offset float64 `yaml:"offset"`
}

// The quantities of a field.
const (
	FieldCurrentA = "current_a" // amperes, required
	FieldCurrentB = "current_b"
	FieldCurrentC = "current_c"
	FieldSetPoint = "set_point" // amperes
	FieldFeeding  = "feeding"   // bit
	FieldExhaust  = "exhaust"   // bit
	FieldManual   = "manual"    // bit
)

// CurrentMeter returns the meter that carries the phase currents; its name is empty if
// there is none.
func CurrentMeter(meters map[string]Meter) (name string, m Meter) {
	for name, m := range meters {
		if _, ok := m.Fields[FieldCurrentA]; ok {
			return name, m
		}
	}
	return "", Meter{}
}

// serialScheme marks the URL of a serial line on this box.
const serialScheme = "rtu:"

// LineGap is the least time between a reply and the next request on a line that the
// meters share: the longest of their gaps. On a serial line it is at least 3.5
// characters of 11 bits, and 1.75 ms above 19,200 baud (Serial Line V1.02 §2.5.1.1);
// on RTU over TCP the gateway keeps that silence.
func LineGap(meters ...Meter) (gap time.Duration) {
	for _, m := range meters {
		gap = max(gap, m.Gap)
		switch {
		case !strings.HasPrefix(m.URL, serialScheme) || m.Serial.Baud <= 0:
		case m.Serial.Baud > 19_200:
			gap = max(gap, 1750*time.Microsecond)
		default:
			gap = max(gap, time.Duration(3.5*11*float64(time.Second)/float64(m.Serial.Baud)))
		}
	}
	return gap
}

// LineSettle is the wait after connecting on a line that the meters share: the longest
// of their own.
func LineSettle(meters ...Meter) (settle time.Duration) {
	for _, m := range meters {
		settle = max(settle, m.Settle)
	}
	return settle
}

// maxReadMax is the most registers that one request may read (Application Protocol
// V1.1b3, §6.3 and §6.4).
const maxReadMax = 125

// FieldTypes are the types of a field, ByteOrders the orders of its bytes on the wire.
var (
	FieldTypes = []string{"int16", "uint16", "int32", "uint32", "float32", "bit"}
	ByteOrders = []string{"ABCD", "CDAB", "BADC", "DCBA"}
)

// Registers is how many 16-bit registers the field takes, 0 for an unknown type.
func (r Field) Registers() int {
	switch r.Type {
	case "int16", "uint16", "bit":
		return 1
	case "int32", "uint32", "float32":
		return 2
	default:
		return 0
	}
}
