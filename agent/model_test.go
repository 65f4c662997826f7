package agent

import (
	"strings"
	"testing"

	"meltwatch/config"
	"meltwatch/inference"
)

// A new model has its own thresholds.
func TestModelWhoseThresholdsDoNotFitIsRefused(t *testing.T) {
	manifest, _, err := inference.ReadManifest("../inference/models/product")
	if err != nil {
		t.Fatal(err)
	}
	a := &Agent{}
	a.live.Store(&modelInstance{manifest: &manifest})
	a.config.Store(&config.Config{State: config.State{Enter: 0.7}})
	next := manifest
	next.Decision.Exit = 0.65
	if err := a.Fits(next); err != nil {
		t.Fatal(err)
	}
	next.Decision.Exit = 0.75
	if err := a.Fits(next); err == nil || !strings.HasPrefix(err.Error(), "state.enter: ") {
		t.Fatalf("got %v, want a refusal that names state.enter", err)
	}
}
