package probe

import (
	"math"
	"slices"
)

// nearby is how many registers away a set-point counts as beside the currents.
const nearby = 8

// distance is the number of registers between the candidate's nearest phase and address.
func distance(c *Candidate, address int) int {
	return min(abs(address-c.Address[0]), abs(address-c.Address[1]), abs(address-c.Address[2]))
}

func abs(n int) int { return max(n, -n) }

// mostSetPointCost is the cost up to which a constant is named as a set-point.
const mostSetPointCost = 8

// findSetPoint looks for a constant of the currents' type, order and scale, and else of
// another type, that is near their mean. The best is round, and near in address.
func findSetPoint(read decoded, like kind, c *Candidate) *SetPoint {
	var best *SetPoint
	least := math.Inf(1)
	var all []int
	for _, k := range kinds {
		for _, scale := range scalesOf(k.typ, 0) {
			if !setPointForm(k, like, scale, c) {
				continue
			}
			for _, v := range read.values[k] {
				cost := setPointCost(read, v, k, like, scale, c)
				if cost > mostSetPointCost {
					continue
				}
				all = append(all, v.register)
				if cost < least {
					best, least = &SetPoint{Address: v.register, Type: k.typ, Order: k.order, Scale: scale, Value: v.mean * scale}, cost
				}
			}
		}
	}
	if best != nil {
		slices.Sort(all)
		others := slices.DeleteFunc(slices.Compact(all), func(r int) bool { return r == best.Address })
		best.Others = others[:min(len(others), mostCandidates)]
	}
	return best
}

// setPointForm reports whether a set-point may have this form beside such currents: the
// device's word order is one, its bytes are not swapped in one register alone, and its
// floats have one unit.
func setPointForm(k, like kind, scale float64, c *Candidate) bool {
	switch {
	case k == like && scale == math.Abs(c.Scale[0]):
		return true
	case k.typ == "float32" && like.typ == "float32":
		return false
	case k.registers() == 1:
		return k.order == "ABCD"
	default:
		return k.order == like.order
	}
}

// setPointCost grows with the distance from the currents in amperes and in address. It
// is infinite for what cannot be a set-point.
func setPointCost(read decoded, v *value, k, like kind, scale float64, c *Candidate) float64 {
	if v == nil || v.changes || len(v.series) < 2 || overlaps(c, like, v.register, k.registers()) {
		return math.Inf(1)
	}
	amperes := v.mean * scale
	if amperes < 0.6*c.mean() || amperes > 1.6*c.mean() {
		return math.Inf(1)
	}
	if i := v.register - read.area.First; k.typ != "float32" && (read.floats[i] || read.floats[i+k.registers()-1]) {
		return math.Inf(1)
	}
	cost := 3*math.Abs(math.Log(amperes/c.mean())) + 0.1*float64(distance(c, v.register))
	if math.Mod(amperes, 50) != 0 {
		cost += 2
	}
	if k != like || scale != math.Abs(c.Scale[0]) {
		cost += 4
	}
	return cost
}

// overlaps reports whether a value shares registers with the candidate's phases.
func overlaps(c *Candidate, like kind, register, size int) bool {
	return slices.ContainsFunc(c.Address[:], func(address int) bool {
		return register < address+like.registers() && address < register+size
	})
}
