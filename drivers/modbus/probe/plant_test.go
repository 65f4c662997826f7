package probe

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"meltwatch/config"
)

// A plant is a register map as devices have it: the currents of a furnace, and around
// them what can be taken for currents. Registers between the blocks are refused.
type plant struct {
	unit, function int
	rng            *rand.Rand
	quantities     []quantity
	currents       [3]int // addresses
	setPoint       int    // −1 without one
	like           quantity
	values         []float64 // now
	began          time.Time
	ticks          int
	registers      map[int]uint16

	// How the device behaves.
	silentGaps bool // reads of undefined registers are not answered
	mostAtOnce int
	everyUnit  bool // it ignores the unit id
	everyFunc  bool // function 4 gives what 3 gives
}

// quantity is a value with its place; move gives the next one.
type quantity struct {
	address     int
	typ, order  string
	scale       float64
	start       float64
	move        func(rng *rand.Rand, start, now float64) float64
	name        string
	registersOf int
}

func constant(_ *rand.Rand, start, _ float64) float64 { return start }
func within(share float64) func(*rand.Rand, float64, float64) float64 {
	return func(rng *rand.Rand, start, now float64) float64 {
		return start + 0.5*(now-start) + share*start*rng.NormFloat64()
	}
}
func rising(most float64) func(*rand.Rand, float64, float64) float64 {
	return func(rng *rand.Rand, _, now float64) float64 { return now + 1 + math.Floor(most*rng.Float64()) }
}

// forms are the ways in which plants give their currents.
var forms = []quantity{
	{typ: "float32", order: "ABCD", scale: 1},
	{typ: "float32", order: "CDAB", scale: 1},
	{typ: "float32", order: "BADC", scale: 1},
	{typ: "float32", order: "DCBA", scale: 1},
	{typ: "int16", order: "ABCD", scale: 1},
	{typ: "int16", order: "ABCD", scale: 10},
	{typ: "int32", order: "ABCD", scale: 1},
	{typ: "int32", order: "CDAB", scale: 1},
	{typ: "uint16", order: "ABCD", scale: 0.1},
	{typ: "float32", order: "CDAB", scale: 1000},
}

// newPlant draws a map; form is a place in forms.
func newPlant(seed uint64, form int) *plant {
	rng := rand.New(rand.NewPCG(seed, 15))
	p := &plant{rng: rng, unit: 1 + rng.IntN(5), function: 3 + rng.IntN(2), setPoint: -1, like: forms[form], mostAtOnce: 125, began: time.Now(), registers: map[int]uint16{}}
	usual := math.Round(60+80*rng.Float64()) * 100 // 6 to 14 kA
	if p.like.typ == "uint16" {
		usual = math.Round(25+25*rng.Float64()) * 100 // so that it fits a word
	}
	current := []quantity{}
	for range 3 {
		current = append(current, p.shaped("current", usual*(0.9+0.2*rng.Float64()), within(0.015+0.06*rng.Float64())))
	}
	if rng.IntN(4) > 0 {
		current = append(current, p.shaped("set-point", usual, constant))
	}
	volts := 110 + 70*rng.Float64()
	raw := quantity{typ: "int16", order: "ABCD", scale: 1}
	triple := func(name string, start, share float64) []quantity {
		var all []quantity
		for range 3 {
			q := raw
			q.name, q.start, q.move = name, start*(0.98+0.04*rng.Float64()), within(share)
			all = append(all, q)
		}
		return all
	}
	blocks := [][]quantity{current, triple("temperature", 240+100*rng.Float64(), 0.0004)}
	if p.like.typ == "float32" {
		var volt []quantity
		for range 3 {
			q := p.like
			q.name, q.scale, q.start, q.move = "voltage", 1, volts*(0.99+0.02*rng.Float64()), within(0.002)
			volt = append(volt, q)
		}
		blocks = append(blocks, volt)
	} else {
		blocks = append(blocks, triple("voltage in 0.1 V", []float64{10, 25}[rng.IntN(2)]*volts, 0.002))
	}
	counter := quantity{name: "counter", typ: "int32", order: p.like.order, scale: 1, move: rising(5)}
	counter.start = math.Round(9000 * (1 + rng.Float64()))
	other := counter
	other.start, other.move = counter.start+700, rising(9)
	third := counter
	third.start -= 300
	hertz := quantity{name: "frequency", typ: "int16", order: "ABCD", scale: 1, start: 5000, move: within(0.0002)}
	blocks = append(blocks, []quantity{counter, other, third, hertz})
	limit := quantity{name: "limit", typ: "int16", order: "ABCD", scale: 1, start: math.Round(usual * 1.25 / 10), move: constant}
	alarm := limit
	alarm.start = math.Round(usual * 1.1 / 10)
	blocks = append(blocks, []quantity{limit, alarm})
	if rng.IntN(2) == 0 { // three more set-points, which other furnaces follow
		var others []quantity
		for range 3 {
			others = append(others, p.shaped("other set-point", usual*(0.7+0.1*float64(rng.IntN(7))), constant))
		}
		blocks = append(blocks, others)
	}
	rng.Shuffle(len(blocks), func(i, j int) { blocks[i], blocks[j] = blocks[j], blocks[i] })
	p.place(blocks)
	return p
}

// shaped is a quantity in the currents' form.
func (p *plant) shaped(name string, start float64, move func(*rand.Rand, float64, float64) float64) quantity {
	q := p.like
	q.name, q.start, q.move = name, start, move
	return q
}

// place lays the blocks out with refused registers in between.
func (p *plant) place(blocks [][]quantity) {
	at, phase := p.rng.IntN(4), 0
	for _, block := range blocks {
		for _, q := range block {
			q.address, q.registersOf = at, config.Field{Type: q.typ}.Registers()
			at += q.registersOf
			switch q.name {
			case "current":
				p.currents[phase] = q.address
				phase++
			case "set-point":
				p.setPoint = q.address
			}
			p.quantities = append(p.quantities, q)
			p.values = append(p.values, q.start)
		}
		at += 1 + p.rng.IntN(5)
	}
	p.write()
}

// tick moves every value on.
func (p *plant) tick() {
	for i, q := range p.quantities {
		p.values[i] = q.move(p.rng, q.start, p.values[i])
	}
	p.write()
}

func (p *plant) write() {
	for i, q := range p.quantities {
		raw := p.values[i] / q.scale
		bits := uint32(int32(math.Round(raw)))
		if q.typ == "float32" {
			bits = math.Float32bits(float32(raw))
		}
		if q.registersOf == 1 {
			p.registers[q.address] = uint16(bits)
			continue
		}
		var wire [4]byte
		for i, letter := range q.order { // the wire's byte i is the value's byte letter
			wire[i] = byte(bits >> (8 * (3 - (letter - 'A'))))
		}
		p.registers[q.address] = binary.BigEndian.Uint16(wire[:])
		p.registers[q.address+1] = binary.BigEndian.Uint16(wire[2:])
	}
}

// period is how often a plant's values change.
const period = 100 * time.Millisecond

// answer is what the device says to a read.
func (p *plant) answer(unit byte, pdu []byte) []byte {
	for ; p.ticks < int(time.Since(p.began)/period); p.ticks++ {
		p.tick()
	}
	if int(unit) != p.unit && !p.everyUnit {
		return nil
	}
	if pdu[0] < 3 || int(pdu[0]) != p.function && !p.everyFunc {
		return exception(pdu, 1)
	}
	first, n := int(binary.BigEndian.Uint16(pdu[1:])), int(binary.BigEndian.Uint16(pdu[3:]))
	body := []byte{pdu[0], byte(2 * n)}
	for r := first; r < first+n; r++ {
		word, ok := p.registers[r]
		switch {
		case n > p.mostAtOnce:
			return exception(pdu, 3)
		case !ok && p.silentGaps:
			return nil
		case !ok:
			return exception(pdu, 2)
		}
		body = binary.BigEndian.AppendUint16(body, word)
	}
	return body
}

// area is a plant as it is read a few times.
func (p *plant) area(readings int) Area {
	last := 0
	for r := range p.registers {
		last = max(last, r)
	}
	a := Area{Unit: p.unit, Function: p.function, Words: make([][]uint16, last+1)}
	for range readings {
		for r, word := range p.registers {
			a.Words[r] = append(a.Words[r], word)
		}
		for range 15 {
			p.tick()
		}
	}
	return a
}

// found reports whether a candidate is the plant's currents. The signed and the unsigned
// type are the same for what was read.
func (p *plant) found(c Candidate) bool {
	return c.Address == p.currents && c.Unit == p.unit && c.Function == p.function && c.Order == p.like.order &&
		strings.TrimPrefix(c.Type, "u") == strings.TrimPrefix(p.like.typ, "u") && c.Scale == [3]float64{p.like.scale, p.like.scale, p.like.scale}
}
