package serve

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"meltwatch/simulator/furnace"
)

// The registers, one a 16-bit word of a packet of the plant's PLC:
//
//	 0– 5  current of phase A, B, C        float32, amperes
//	 6– 7  current set-point               float32, amperes
//	 8–13  voltage of phase A, B, C        float32, volts
//	14–15  manual electrode speed          float32, share of full speed
//	16–17  rotation of the drives          float32, revolutions a minute
//	18–23  action of electrode A, B, C     float32, −10…+10, positive raises
//	24     bits: 0 manual, 1 feeding, 2 exhaust
const (
	floats        = 12
	bitsRegister  = 2 * floats
	registerCount = bitsRegister + 1
)

// wordOrders give, for each byte on the wire, which byte of the value it is: 0
// is the most significant.
var wordOrders = map[string][4]int{
	"ABCD": {0, 1, 2, 3},
	"CDAB": {2, 3, 0, 1},
	"BADC": {1, 0, 3, 2},
	"DCBA": {3, 2, 1, 0},
}

// WordOrders lists the orders in which a float32 can lie in its two registers.
func WordOrders() []string { return []string{"ABCD", "CDAB", "BADC", "DCBA"} }

func checkOrder(order string) error {
	if !slices.Contains(WordOrders(), order) {
		return fmt.Errorf("word order: %q is not one of %v", order, WordOrders())
	}
	return nil
}

// pack lays out a packet of the PLC in registers. The word order applies to the float32
// values only; the bits are a plain register.
func pack(p furnace.PLC, order string) (words [registerCount]uint16) {
	values := slices.Concat(p.Current[:], []float32{p.SetPoint}, p.Voltage[:],
		[]float32{p.ManualSpeed, p.Rotation}, p.Action[:])
	places := wordOrders[order]
	for i, v := range values {
		var value, wire [4]byte
		binary.BigEndian.PutUint32(value[:], math.Float32bits(v))
		for at, from := range places {
			wire[at] = value[from]
		}
		words[2*i] = binary.BigEndian.Uint16(wire[:2])
		words[2*i+1] = binary.BigEndian.Uint16(wire[2:])
	}
	for bit, set := range [...]bool{p.Manual, p.Feeding, p.Exhaust} {
		if set {
			words[bitsRegister] |= 1 << bit
		}
	}
	return words
}
