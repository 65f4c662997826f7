package probe

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strings"

	"meltwatch/config"
)

// Registers that are no currents are named as far as they can be told, so that the reader
// of the report can compare them with the device's manual.

// flagBits bounds the highest bit that a register of switches is expected to use.
const flagBits = 8

// flagRegisters are the registers that may hold bits: small, in no value of a candidate
// or float32 run, and not counting.
func flagRegisters(a Area, c Candidate) (found []int) {
	read := decodeArea(a)
	for i, words := range a.Words {
		register := a.First + i
		if len(words) == 0 || read.floats[i] || ownsRegister(c, register) || beside32(a, register) {
			continue
		}
		if low, high := slices.Min(words), slices.Max(words); high == 0 || high >= 1<<flagBits || counts(words) && high != low {
			continue
		}
		if found = append(found, register); len(found) == 3 {
			break
		}
	}
	return found
}

// ownsRegister reports whether the candidate reads the register.
func ownsRegister(c Candidate, register int) bool {
	size := config.Field{Type: c.Type}.Registers()
	for _, address := range c.Address {
		if register >= address && register < address+size {
			return true
		}
	}
	if p := c.SetPoint; p != nil {
		return register >= p.Address && register < p.Address+config.Field{Type: p.Type}.Registers()
	}
	return false
}

// beside32 reports whether the register can be the upper half of a number of two
// registers: the next one moves while it stands still.
func beside32(a Area, register int) bool {
	next := a.at(register + 1)
	return len(next) > 0 && moves(next) && !moves(a.at(register))
}

// counts reports whether words only rise.
func counts(words []uint16) bool {
	return len(words) > 2 && slices.IsSorted(words) && bits.OnesCount16(words[0]^words[len(words)-1]) > 1
}

// bitText says which bits are set, and which changed.
func bitText(words []uint16) string {
	last, changed := words[len(words)-1], uint16(0)
	for _, w := range words {
		changed |= w ^ last
	}
	text := "set: " + bitList(last)
	if changed != 0 {
		text += ", changed: " + bitList(changed)
	}
	return text
}

func bitList(word uint16) string {
	var all []string
	for bit := range 16 {
		if word>>bit&1 == 1 {
			all = append(all, fmt.Sprint(bit))
		}
	}
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, " ")
}

// Row is a register with the readings of it that give something.
type Row struct {
	Register int      `json:"register"`
	Word     uint16   `json:"word"`
	Moves    bool     `json:"moves"`
	Read     []string `json:"read"`
	// Guess is what the quantity may be, empty if nothing tells.
	Guess string `json:"guess,omitempty"`
}

// Rows lists an area's registers. Values of two registers stand at their first one.
func Rows(a Area) (rows []Row) {
	read := decodeArea(a)
	for i, words := range a.Words {
		if len(words) == 0 {
			continue
		}
		row := Row{Register: a.First + i, Word: words[len(words)-1], Moves: moves(words)}
		var first *value
		for _, k := range kinds {
			v := read.of(k, row.Register)
			if v == nil || !plausible(v, k, words[0]) {
				continue
			}
			if first == nil {
				first = v
				row.Guess = guess(v, k)
			}
			row.Read = append(row.Read, fmt.Sprintf("%s %s %.6g", k.typ, k.order, v.series[len(v.series)-1]))
		}
		rows = append(rows, row)
	}
	return rows
}

// plausible reports whether a way of reading gives what an instrument may say.
func plausible(v *value, k kind, word uint16) bool {
	switch {
	case k.typ == "float32":
		return v.coherent() && v.mean != 0
	case k.registers() == 2:
		return v.mean != 0 && math.Abs(v.mean) < 1e8 && v.step < 0.5
	case k.order == "ABCD":
		return true
	default: // swapped bytes: only where they give the smaller number
		return v.step < 0.5 && v.mean != 0 && math.Abs(v.mean) < float64(word)
	}
}

// guess names a quantity by its motion.
func guess(v *value, k kind) string {
	size := math.Abs(v.mean)
	hundredths := k.registers() == 1 && (near(size, 5000, 100) || near(size, 6000, 120))
	switch {
	case !v.changes:
		return "constant"
	case len(v.series) > 2 && v.rises() && v.step < 0.01:
		return "rises: a counter or an energy"
	case near(size, 50, 1) || near(size, 60, 1.2) || hundredths && v.step < 0.002:
		return "a mains frequency"
	case v.step < 0.006:
		return "hardly moves: a voltage or a temperature"
	case v.step < 0.4:
		return "fluctuates"
	default:
		return "jumps"
	}
}

func near(v, mark, by float64) bool { return math.Abs(v-mark) <= by }
