package probe

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"meltwatch/drivers/drivertest"
)

func TestUnitsWithoutAnAnswerShareALine(t *testing.T) {
	gateway, silent := "no answer (gateway exception 11)", "no answer within 1s"
	r := Result{Survey: Survey{Units: []Unit{
		{1, true, "answers"}, {2, false, gateway}, {3, false, gateway}, {4, false, gateway}, {5, false, silent}, {6, true, "answers"}, {7, true, "answers"},
		{8, false, gateway}, {10, false, gateway},
	}}}
	var out strings.Builder
	if err := r.Print(&out); err != nil {
		t.Fatal(err)
	}
	var have []string
	for line := range strings.Lines(out.String()) {
		if strings.HasPrefix(line, "unit") {
			have = append(have, strings.TrimSpace(line))
		}
	}
	want := []string{
		"unit 1: answers", "units 2-4: " + gateway, "unit 5: " + silent, "unit 6: answers", "unit 7: answers", "unit 8: " + gateway, "unit 10: " + gateway,
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Error(diff)
	}
}

// A gateway that reaches one unit says of the others that they do not answer.
func TestUnitsBehindAGateway(t *testing.T) {
	meter := drivertest.Registers(t, make([]uint16, 20), func(request, right []byte) []byte {
		if request[6] == 3 {
			return right
		}
		return append(bytes.Clone(request[:4]), 0, 3, request[6], request[7]|0x80, 11)
	})
	r, err := Run(t.Context(), quick(meter))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := r.Print(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"units 1-2: no answer (gateway exception 11)\n", "unit 3: answers\n", "units 4-5: no answer (gateway exception 11)\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, out.String())
		}
	}
}

func TestNeighboursWithTheSameContentsShareALine(t *testing.T) {
	zero := func(register int) Row {
		return Row{Register: register, Guess: "constant", Read: []string{"int16 ABCD 0"}}
	}
	r := Result{Registers: []AreaRows{{Unit: 1, Function: 3, Rows: []Row{
		zero(0), zero(1), zero(2),
		{Register: 3, Word: 7, Guess: "constant", Read: []string{"int16 ABCD 7"}},
		zero(4), zero(6), // the device refuses 5
	}}}}
	var out strings.Builder
	if err := r.Print(&out); err != nil {
		t.Fatal(err)
	}
	var registers []string
	for line := range strings.Lines(out.String()) {
		if first, _, found := strings.Cut(line, " "); found && strings.Contains(line, "0x") {
			registers = append(registers, first)
		}
	}
	if have := strings.Join(registers, " "); have != "0–2 3 4 6" {
		t.Errorf("lines of registers %q, want 0–2 3 4 6:\n%s", have, out.String())
	}
}
