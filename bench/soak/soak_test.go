package soak

import (
	"os"
	"strings"
	"testing"

	"meltwatch/bench/rig"
)

// built returns the programs, or skips the test and says so.
func built(t *testing.T) rig.Programs {
	t.Helper()
	for _, program := range []string{"meltwatch", "meltwatch-infer", "meltwatch-camera", "furnace-sim"} {
		if _, err := os.Stat("../../bin/" + program); err != nil {
			t.Skipf("%s is not built: run make build", program)
		}
	}
	return rig.Programs{Bin: "../../bin", Model: "../../inference/models/product"}
}

// make prove does the same for twenty minutes.
func TestSoak(t *testing.T) {
	if testing.Short() {
		t.Skip("a minute of real time: left out by -short")
	}
	var report strings.Builder
	err := Options{Minutes: 1, Programs: built(t)}.Run(t.Context(), &report)
	t.Log("\n" + report.String())
	if err != nil {
		t.Fatal(err)
	}
}
