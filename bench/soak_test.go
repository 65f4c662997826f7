package main

import (
	"os"
	"strings"
	"testing"
)

// Two minutes of what make prove does for twenty.
func TestSoak(t *testing.T) {
	if testing.Short() {
		t.Skip("two minutes of real time: left out by -short")
	}
	for _, program := range []string{"meltwatch", "meltwatch-infer", "meltwatch-camera", "furnace-sim"} {
		if _, err := os.Stat("../bin/" + program); err != nil {
			t.Skipf("%s is not built: run make build", program)
		}
	}
	var report strings.Builder
	err := soakCommand{Minutes: 2, Bin: "../bin", Model: "../inference/models/product"}.Run(t.Context(), &report)
	t.Log("\n" + report.String())
	if err != nil {
		t.Fatal(err)
	}
}
