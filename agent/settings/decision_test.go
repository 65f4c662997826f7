package settings

import (
	"strings"
	"testing"
	"time"

	"meltwatch/config"
	"meltwatch/inference"
)

func TestThresholdsInEffectAreCompared(t *testing.T) {
	model := inference.Decision{MeanSeconds: 5, Enter: 0.9, Exit: 0.669, HoldSeconds: 10}
	for name, c := range map[string]struct {
		state config.State
		key   string
	}{
		"the model's own":           {config.State{}, ""},
		"enter above the exit":      {config.State{Enter: 0.7}, ""},
		"enter at the exit":         {config.State{Enter: 0.669}, ""},
		"enter under the exit":      {config.State{Enter: 0.6}, "state.enter"},
		"exit under the enter":      {config.State{Exit: 0.8}, ""},
		"exit above the enter":      {config.State{Exit: 0.95}, "state.exit"},
		"both under the model's":    {config.State{Enter: 0.5, Exit: 0.4}, ""},
		"both, the wrong way round": {config.State{Enter: 0.5, Exit: 0.6}, "state.exit"},
	} {
		t.Run(name, func(t *testing.T) {
			err := CheckThresholds(c.state, model)
			if (err == nil) != (c.key == "") {
				t.Fatal(err)
			}
			if err != nil && !strings.HasPrefix(err.Error(), c.key+": ") {
				t.Errorf("%v; want the key %s", err, c.key)
			}
		})
	}
}

func TestMeterRateIsComparedWithTheModels(t *testing.T) {
	manifest, _, err := inference.ReadManifest("../../inference/models/product")
	if err != nil {
		t.Fatal(err)
	}
	for period, fits := range map[time.Duration]bool{
		100 * time.Millisecond:  true,
		500 * time.Millisecond:  true,
		700 * time.Millisecond:  true,
		time.Second:             true,
		1500 * time.Millisecond: false,
		2 * time.Second:         false,
		time.Minute:             false,
	} {
		meters := map[string]config.Meter{"plc": {Period: period, Fields: map[string]config.Field{config.FieldCurrentA: {}}}}
		err := CheckSampling(meters, &manifest)
		if (err == nil) != fits {
			t.Errorf("period %s: %v", period, err)
		}
		if err != nil && !strings.Contains(err.Error(), "meters.plc.period: ") {
			t.Errorf("period %s: %v; want the key", period, err)
		}
		if err != nil && strings.Contains(err.Error(), "the rule") != (period <= 4*time.Second) {
			t.Errorf("period %s: %v; the rule decides up to 4 s", period, err)
		}
	}
}
