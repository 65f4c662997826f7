package cost

import (
	"strings"
	"testing"
)

// The table is of medians, and the other settings are told against the first one.
func TestTable(t *testing.T) {
	rounds := func(memory int, written float64, agents ...float64) (all []used) {
		for _, share := range agents {
			all = append(all, used{map[string]float64{agent: share, "meltwatch-camera": 0.05}, memory, written})
		}
		return all
	}
	got := string(table([]*setting{
		{name: "neither", used: rounds(100e6, 0, 0.02, 0.5, 0.01)},
		{name: "recorder", used: rounds(101e6, 15000, 0.025, 0.024, 0.03)},
	}))
	for _, want := range []string{
		"| neither | 2.0 | 5.0 | 0.0 | 7.0 | 100.0 | 0.00 |\n",
		"| recorder | 2.5 (+0.5) | 5.0 (+0.0) | 0.0 (+0.0) | 7.5 (+0.5) | 101.0 (+1.0) | 1.30 |\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no row %q in\n%s", want, got)
		}
	}
}
