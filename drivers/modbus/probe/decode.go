package probe

import (
	"encoding/binary"
	"math"

	"meltwatch/config"
	"meltwatch/drivers/modbus"
)

// value is one quantity in one way of reading it, before the scale.
type value struct {
	register int
	series   []float64 // one for each reading
	mean     float64
	step     float64 // mean distance between two readings, as a share of the mean
	changes  bool
}

// decoded is an area in every way of reading it.
type decoded struct {
	area   Area
	values map[kind][]*value // by the register's place in the area
	// floats marks registers that belong to a run of coherent float32 values, counters
	// those of integers that rise slowly.
	floats, counters []bool
}

func decodeArea(a Area) decoded {
	d := decoded{area: a, values: map[kind][]*value{}}
	for _, k := range kinds {
		d.values[k] = make([]*value, len(a.Words))
		for i := range a.Words {
			d.values[k][i] = decodeValue(a, a.First+i, k)
		}
	}
	d.markFloats()
	d.markCounters()
	return d
}

// of is the value at a register, nil if there is none.
func (d decoded) of(k kind, register int) *value {
	if i := register - d.area.First; i >= 0 && i < len(d.values[k]) {
		return d.values[k][i]
	}
	return nil
}

// decodeValue is nil unless every reading gives a number.
func decodeValue(a Area, register int, k kind) *value {
	words := [][]uint16{a.at(register)}
	if k.registers() == 2 {
		words = append(words, a.at(register+1))
	}
	n := len(words[0])
	for _, w := range words {
		if len(w) == 0 || len(w) != n {
			return nil
		}
	}
	v := &value{register: register, series: make([]float64, n)}
	for i := range n {
		var wire []byte
		for _, w := range words {
			wire = binary.BigEndian.AppendUint16(wire, w[i])
		}
		number, err := modbus.Decode(wire, config.Field{Type: k.typ, Order: k.order, Scale: 1})
		if err != nil {
			return nil
		}
		v.series[i] = number
	}
	v.summarize()
	return v
}

func (v *value) summarize() {
	for i, number := range v.series {
		v.mean += number / float64(len(v.series))
		if i > 0 {
			v.step += math.Abs(number-v.series[i-1]) / float64(len(v.series)-1)
		}
	}
	v.changes = v.step > 0
	if v.mean != 0 {
		v.step /= math.Abs(v.mean)
	}
}

// rises and falls report a value that goes in one direction only, as a counter does.
func (v *value) rises() bool { return v.monotone(1) }
func (v *value) falls() bool { return v.monotone(-1) }

func (v *value) monotone(sign float64) bool {
	for i := 1; i < len(v.series); i++ {
		if sign*(v.series[i]-v.series[i-1]) < 0 {
			return false
		}
	}
	return v.changes
}

// coherent reports whether a float32 is of a size that instruments give, and stays so.
// Other contents read as a float32 jump by powers of ten.
func (v *value) coherent() bool {
	if v == nil {
		return false
	}
	low, high := math.Inf(1), 0.0
	for _, number := range v.series {
		low, high = min(low, math.Abs(number)), max(high, math.Abs(number))
	}
	return high == 0 || low >= 1e-2 && high <= 1e8 && high <= 3*low
}

// coherentRun is how many float32 values in a row make it certain that they are some.
const coherentRun = 3

// markFloats finds runs of float32 values of one order, at least two of which are not 0.
func (d *decoded) markFloats() {
	d.floats = make([]bool, len(d.area.Words)+1)
	for _, order := range config.ByteOrders {
		values := d.values[kind{"float32", order}]
		for i := range values {
			end, filled := i, 0
			for end < len(values) && values[end].coherent() {
				if values[end].mean != 0 {
					filled++
				}
				end += 2
			}
			if (end-i)/2 < coherentRun || filled < coherentRun-1 {
				continue
			}
			for j := i; j < min(end, len(d.floats)); j++ {
				d.floats[j] = true
			}
		}
	}
}

// markCounters finds integers that only rise, by little, in the usual byte orders.
func (d *decoded) markCounters() {
	d.counters = make([]bool, len(d.area.Words)+1)
	for _, k := range []kind{{"uint16", "ABCD"}, {"uint32", "ABCD"}, {"uint32", "CDAB"}} {
		for i, v := range d.values[k] {
			if v != nil && !d.floats[i] && len(v.series) > 2 && v.mean < 1<<30 && v.strictlyRises() && v.step < 0.01 {
				for j := range k.registers() {
					d.counters[i+j] = d.counters[i+j] || moves(d.area.Words[i+j])
				}
			}
		}
	}
}

// strictlyRises reports a value that is higher at each reading.
func (v *value) strictlyRises() bool {
	for i := 1; i < len(v.series); i++ {
		if v.series[i] <= v.series[i-1] {
			return false
		}
	}
	return true
}
