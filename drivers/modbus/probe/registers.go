package probe

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strings"

	"meltwatch/config"
)

// Registers that are not currents are named as far as they can be told, so that the reader
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
	name, _, _ := owner(c, register)
	return name != ""
}

// owner is the candidate's quantity that holds a register, how it is read, and which of
// its registers this is.
func owner(c Candidate, register int) (name string, k kind, place int) {
	within := func(address int, k kind) bool { return register >= address && register < address+k.registers() }
	for phase, quantity := range []string{config.FieldCurrentA, config.FieldCurrentB, config.FieldCurrentC} {
		if k := (kind{c.Type, c.Order}); within(c.Address[phase], k) {
			return quantity, k, register - c.Address[phase]
		}
	}
	if p := c.SetPoint; p != nil && within(p.Address, kind{p.Type, p.Order}) {
		return config.FieldSetPoint, kind{p.Type, p.Order}, register - p.Address
	}
	return "", kind{}, 0
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

// AreaRows is how the registers of one area can be read.
type AreaRows struct {
	Unit     int   `json:"unit"`
	Function int   `json:"function"`
	Rows     []Row `json:"rows"`
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
// The registers of best, if it is of this area, carry their quantity's name.
func Rows(a Area, best *Candidate) (rows []Row) {
	if best != nil && (best.Unit != a.Unit || best.Function != a.Function) {
		best = nil
	}
	read := decodeArea(a)
	for i, words := range a.Words {
		if len(words) == 0 {
			continue
		}
		row := Row{Register: a.First + i, Word: words[len(words)-1], Moves: moves(words)}
		row.read(read, words[0], best)
		rows = append(rows, row)
	}
	return rows
}

// read lists the ways of reading a register, the most telling one first.
func (row *Row) read(read decoded, word uint16, best *Candidate) {
	var like kind
	if best != nil {
		name, k, place := owner(*best, row.Register)
		if v := read.of(k, row.Register); v != nil && place == 0 {
			row.Guess, row.Read = name, []string{wayOf(v, k)}
			return
		}
		if name != "" {
			row.Guess = "second half of " + name
			return
		}
		if like = (kind{best.Type, best.Order}); like.registers() == 2 && read.floats[row.Register-read.area.First] && abs(row.Register-best.Address[0])%2 == 1 {
			if v := read.of(like, row.Register-1); v.coherent() && v.mean != 0 {
				return // the second half of the value before it
			}
		}
	}
	for _, k := range append([]kind{like}, kinds...) {
		v := read.of(k, row.Register)
		if v == nil || !plausible(v, k, word) || k == like && len(row.Read) > 0 {
			continue
		}
		if signed, ok := strings.CutPrefix(k.typ, "u"); ok {
			if s := read.of(kind{signed, k.order}, row.Register); s != nil && s.mean == v.mean {
				continue // it says nothing new
			}
		}
		if row.Guess == "" {
			row.Guess = guess(v, k)
		}
		row.Read = append(row.Read, wayOf(v, k))
	}
}

func wayOf(v *value, k kind) string {
	return fmt.Sprintf("%s %s %.6g", k.typ, k.order, v.series[len(v.series)-1])
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
