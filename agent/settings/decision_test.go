package settings

import (
	"strings"
	"testing"
	"time"

	"meltwatch/agent/state"
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

// The pair in effect of the early warning is compared as well, on its own.
func TestThresholdsOfASuspicionAreCompared(t *testing.T) {
	model := inference.Decision{MeanSeconds: 30, Enter: 0.9, Exit: 0.6, HoldSeconds: 10, Suspect: &inference.Suspect{MeanSeconds: 10, Enter: 0.5, Exit: 0.3, HoldSeconds: 5}}
	for name, c := range map[string]struct {
		suspect config.Suspect
		key     string
	}{
		"the model's own":            {config.Suspect{}, ""},
		"above the alarm's":          {config.Suspect{Enter: 0.95, Exit: 0.8}, ""},
		"enter under the exit":       {config.Suspect{Enter: 0.2}, "state.suspect.enter"},
		"exit above the enter":       {config.Suspect{Exit: 0.6}, "state.suspect.exit"},
		"both, the wrong way round":  {config.Suspect{Enter: 0.4, Exit: 0.45}, "state.suspect.exit"},
		"exit under the alarm's own": {config.Suspect{Exit: 0.5}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := CheckThresholds(config.State{Suspect: c.suspect}, model)
			if (err == nil) != (c.key == "") {
				t.Fatal(err)
			}
			if err != nil && !strings.HasPrefix(err.Error(), c.key+": ") {
				t.Errorf("%v; want the key %s", err, c.key)
			}
		})
	}
	model.Suspect = nil
	if err := CheckThresholds(config.State{Suspect: config.Suspect{Enter: 0.2, Exit: 0.1}}, model); err != nil {
		t.Errorf("a model that never suspects: %v", err)
	}
}

func TestSuspicionIsOverriddenOnlyWhereTheModelHasOne(t *testing.T) {
	c := config.State{Suspect: config.Suspect{Enter: 0.7, HoldSeconds: 3}}
	own := inference.Suspect{MeanSeconds: 10, Enter: 0.5, Exit: 0.3, HoldSeconds: 5}
	if have, want := Params(c, inference.Decision{Suspect: &own}).Suspect, (state.Suspect{MeanSeconds: 10, Enter: 0.7, Exit: 0.3, HoldSeconds: 3}); have != want {
		t.Errorf("%+v, want %+v", have, want)
	}
	if have := Params(c, inference.Decision{}).Suspect; have != (state.Suspect{}) {
		t.Errorf("%+v without the model's own", have)
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
