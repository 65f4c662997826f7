package probe

import (
	"strings"
	"testing"
)

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
