package probe

import (
	"fmt"
	"math"
	"slices"

	"meltwatch/drivers"
	"meltwatch/drivers/modbus"
)

// The score is a sum of points, roughly natural logarithms of how much more often a
// feature is met in a furnace's currents than in other registers.

// assess judges three values as currents. It is not ok if they cannot be.
func assess(read decoded, k kind, phases [drivers.Phases]*value, scale, expected float64) (c Candidate, ok bool) {
	c = Candidate{Unit: read.area.Unit, Function: read.area.Function, Type: k.typ, Order: k.order, Variation: 1}
	for phase, v := range phases {
		c.Address[phase], c.Scale[phase] = v.register, scale
		if v.mean < 0 {
			c.Scale[phase] = -scale
		}
		c.Current[phase] = v.mean * c.Scale[phase]
		c.Variation *= math.Cbrt(v.step) // the geometric mean, so that one calm phase does not decide
		if !inBounds(c.Current[phase], expected) || !sameSize(v) {
			return c, false
		}
	}
	if !modbus.Fits(c.Current, expected, math.Inf(1)) {
		return c, false
	}
	c.weighForm(read, k, phases)
	c.weighMotion(phases)
	c.weighSurroundings(read, k, phases, expected)
	return c, true
}

// sameSize reports whether no reading is of another sign, or far above the mean.
func sameSize(v *value) bool {
	for _, number := range v.series {
		if number*v.mean < 0 || math.Abs(number) > 3*math.Abs(v.mean) {
			return false
		}
	}
	return true
}

func (c *Candidate) add(points float64, format string, args ...any) {
	c.Score += points
	if format != "" {
		c.Reasons = append(c.Reasons, fmt.Sprintf(format, args...))
	}
}

// orderPoints and scalePoints say how common an order and a scale are.
var (
	orderPoints = map[string]float64{"ABCD": 0, "CDAB": -0.2, "BADC": -0.8, "DCBA": -0.8}
	scalePoints = map[float64]float64{1: 0, 10: -1, 0.1: -1.5, 0.01: -2.5, 1000: -2}
)

// weighForm weighs type, order, scale and distance.
func (c *Candidate) weighForm(read decoded, k kind, phases [drivers.Phases]*value) {
	scale := math.Abs(c.Scale[0])
	c.add(orderPoints[k.order]+scalePoints[scale], "")
	switch {
	case k.typ == "float32":
		c.add(6, "three float32 values of this size are rarely a coincidence")
		c.weighHalves(read, k, phases)
	case k.registers() == 2:
		if phases[0].mean < 1<<16 && scale == 1 {
			c.add(1, "")
		}
	default:
		if scale == 1000 {
			c.add(-3, "")
		}
	}
	if k.typ != "float32" && marked(read, read.floats, k, phases) > 0 {
		c.add(-5, "the registers look like part of float32 values")
	}
	if n := marked(read, read.counters, k, phases); n > 0 {
		c.add(-float64(n), "%d of them look like counters", n)
	}
	if plain, swapped := unswapped[k.order]; swapped && k.typ != "float32" {
		c.add(-1.5, "")
		if calmer(read, kind{k.typ, plain}, phases) {
			c.add(-3, "without swapped bytes they move less")
		}
	}
	if stride := c.Address[1] - c.Address[0]; stride > k.registers() {
		c.add(-1-0.05*float64(stride), "")
	} else {
		c.add(0, "adjacent")
	}
	if (phases[0].register-read.area.start(phases[0].register))%k.registers() == 0 {
		c.add(0.5, "")
	}
	if slices.ContainsFunc(c.Scale[:], func(s float64) bool { return s < 0 }) {
		c.add(-2, "negative: a reversed transformer")
	}
}

// unswapped is the order that differs by the bytes inside words alone.
var unswapped = map[string]string{"BADC": "ABCD", "DCBA": "CDAB"}

// calmer reports whether another way of reading the phases gives less motion, as the
// right one does.
func calmer(read decoded, other kind, phases [drivers.Phases]*value) bool {
	return slices.ContainsFunc(phases[:], func(v *value) bool {
		plain := read.of(other, v.register)
		return plain != nil && plain.step < v.step
	})
}

// marked counts the phases with a marked register.
func marked(read decoded, marks []bool, k kind, phases [drivers.Phases]*value) (n int) {
	for _, v := range phases {
		if i := v.register - read.area.First; marks[i] || marks[i+k.registers()-1] {
			n++
		}
	}
	return n
}

// weighHalves compares the two registers of each float32. Read with the other word
// order and one register further, currents look alike, because the upper half alone
// gives a value within 1 %. But then a lower half belongs to another quantity: it stands
// still while the upper one moves.
func (c *Candidate) weighHalves(read decoded, k kind, phases [drivers.Phases]*value) {
	mismatches := 0
	for i, v := range read.values[k] {
		if v == nil || (v.register-phases[0].register)%2 != 0 || !v.coherent() || v.mean == 0 {
			continue
		}
		upper, lower := read.area.Words[i], read.area.Words[i+1]
		if k.order == "CDAB" || k.order == "DCBA" {
			upper, lower = lower, upper
		}
		if moves(upper) != moves(lower) {
			mismatches++
		}
	}
	c.add(-0.5*float64(min(mismatches, 4)), "")
	for _, v := range phases {
		i := v.register - read.area.First
		if !moves(read.area.Words[i]) || !moves(read.area.Words[i+1]) {
			c.add(-1.5, "one half of a value stands still")
		}
	}
}

func moves(words []uint16) bool {
	return slices.ContainsFunc(words, func(w uint16) bool { return w != words[0] })
}

// weighMotion weighs how the values change from reading to reading.
func (c *Candidate) weighMotion(phases [drivers.Phases]*value) {
	c.add(variationPoints(c.Variation), "they fluctuate by %.2g %% between two readings", 100*c.Variation)
	if len(phases[0].series) > 2 && (all(phases, (*value).rises) || all(phases, (*value).falls)) {
		c.add(-6, "all three go in one direction, as counters do")
	}
	for phase := range phases {
		if slices.Equal(phases[phase].series, phases[(phase+1)%drivers.Phases].series) {
			c.add(-3, "two phases are the same")
		}
	}
	low, high := slices.Min(c.Current[:]), slices.Max(c.Current[:])
	switch ratio := high / low; {
	case ratio > 2:
		c.add(-2, "the phases differ by a factor of %.2g", ratio)
	case ratio > 1.5:
		c.add(-0.5, "")
	}
}

func all(phases [drivers.Phases]*value, holds func(*value) bool) bool {
	return !slices.ContainsFunc(phases[:], func(v *value) bool { return !holds(v) })
}

// variationPoints: a voltage changes by some thousandths from second to second, an arc's
// current by some hundredths; numbers that mean nothing jump by a third.
func variationPoints(share float64) float64 {
	marks := []struct{ share, points float64 }{
		{0.0005, -4}, {0.003, -2}, {0.007, 0.3}, {0.012, 1.5}, {0.04, 3}, {0.2, 3}, {0.35, 0}, {0.6, -4},
	}
	if share <= marks[0].share {
		return marks[0].points
	}
	for i := 1; i < len(marks); i++ {
		if a, b := marks[i-1], marks[i]; share <= b.share {
			along := math.Log(share/a.share) / math.Log(b.share/a.share)
			return a.points + along*(b.points-a.points)
		}
	}
	return marks[len(marks)-1].points
}

// weighSurroundings weighs what stands beside the values.
func (c *Candidate) weighSurroundings(read decoded, k kind, phases [drivers.Phases]*value, expected float64) {
	if expected > 0 {
		c.add(1-3*math.Abs(math.Log(c.mean()/expected)), "their mean is %.2g times --current", c.mean()/expected)
	}
	stride := c.Address[1] - c.Address[0]
	before, after := read.of(k, c.Address[0]-stride), read.of(k, c.Address[2]+stride)
	switch {
	case isMean(before, phases), isMean(after, phases):
		c.add(1, "their mean stands beside them")
	case before != nil && before.changes && inBounds(math.Abs(before.mean*c.Scale[0]), expected) && before.step > c.Variation/3:
		c.add(-1, "a value before them looks alike")
	}
	if c.Score < leastScore-2 {
		return // a set-point would not save it
	}
	if c.SetPoint = findSetPoint(read, k, c); c.SetPoint == nil {
		return
	}
	if distance(c, c.SetPoint.Address) <= nearby {
		c.add(2, "a constant of %.0f A, like a set-point, stands beside them", c.SetPoint.Value)
	} else {
		c.add(1, "a constant of %.0f A is like a set-point", c.SetPoint.Value)
	}
}

// isMean reports whether a value is the three others' mean at each reading.
func isMean(v *value, phases [drivers.Phases]*value) bool {
	if v == nil || !v.changes || len(v.series) != len(phases[0].series) {
		return false
	}
	for i, number := range v.series {
		mean := (phases[0].series[i] + phases[1].series[i] + phases[2].series[i]) / drivers.Phases
		if math.Abs(number-mean) > 0.002*math.Abs(mean)+1 {
			return false
		}
	}
	return true
}
