package main

import (
	"os"
	"strings"
	"testing"
)

// built are the programs, or the test is skipped, aloud.
func built(t *testing.T) programs {
	t.Helper()
	for _, program := range []string{"meltwatch", "meltwatch-infer", "meltwatch-camera", "furnace-sim"} {
		if _, err := os.Stat("../bin/" + program); err != nil {
			t.Skipf("%s is not built: run make build", program)
		}
	}
	return programs{Bin: "../bin", Model: "../inference/models/product"}
}

// Two minutes of what make prove does for twenty.
func TestSoak(t *testing.T) {
	if testing.Short() {
		t.Skip("two minutes of real time: left out by -short")
	}
	var report strings.Builder
	err := soakCommand{Minutes: 2, programs: built(t)}.Run(t.Context(), &report)
	t.Log("\n" + report.String())
	if err != nil {
		t.Fatal(err)
	}
}
