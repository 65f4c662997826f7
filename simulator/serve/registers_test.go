package serve

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"meltwatch/simulator/furnace"
)

// packet has a different value in each register, chosen so that their bits are
// known by heart: 15000 is 466A6000 in hexadecimal, 1 is 3F800000.
var packet = furnace.PLC{
	Current: [3]float32{15000, 1, 2}, SetPoint: 4, Voltage: [3]float32{8, 16, 32},
	ManualSpeed: 0.5, Rotation: 64, Action: [3]float32{-1, -2, 10},
	Manual: true, Exhaust: true,
}

func TestPackedRegistersInEveryWordOrder(t *testing.T) {
	for order, want := range map[string][4]uint16{
		"ABCD": {0x466a, 0x6000, 0x3f80, 0x0000},
		"CDAB": {0x6000, 0x466a, 0x0000, 0x3f80},
		"BADC": {0x6a46, 0x0060, 0x803f, 0x0000},
		"DCBA": {0x0060, 0x6a46, 0x0000, 0x803f},
	} {
		words := pack(packet, order)
		if diff := cmp.Diff(want, [4]uint16(words[:4])); diff != "" {
			t.Errorf("%s: first two phases:\n%s", order, diff)
		}
		if words[bitsRegister] != 0b101 {
			t.Errorf("%s: bits are %03b, want manual and exhaust", order, words[bitsRegister])
		}
	}
}

func TestThePlanOfTheRegisters(t *testing.T) {
	want := [registerCount]uint16{
		0x466a, 0x6000, 0x3f80, 0, 0x4000, 0, // currents
		0x4080, 0, // set-point
		0x4100, 0, 0x4180, 0, 0x4200, 0, // voltages
		0x3f00, 0, 0x4280, 0, // manual speed, rotation
		0xbf80, 0, 0xc000, 0, 0x4120, 0, // actions
		0b101,
	}
	if diff := cmp.Diff(want, pack(packet, "ABCD")); diff != "" {
		t.Error(diff)
	}
}
