// Package settings derives the settings of each part of the agent from the
// configuration and from the live model's manifest.
package settings

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"meltwatch/agent/decide"
	"meltwatch/agent/state"
	"meltwatch/config"
	"meltwatch/inference"
)

// Decision returns the settings of a model's decider.
func Decision(c config.Config, m *inference.Manifest) decide.Settings {
	return decide.Settings{
		Manifest: m,
		Params:   Params(c.State, m.Decision),
		Rule:     rule(c.State, m.Rule),
		Timeout:  c.Model.Timeout,
		Period:   currentPeriod(c.Meters),
		Delay:    c.Camera.Delay,
		Camera:   cameraOf(c.Camera),
	}
}

// cameraOf identifies the camera and the part of its picture by a hash: the path of a URL may hold
// a secret.
func cameraOf(c config.Camera) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %+v", c.URL, c.Crop))
	return hex.EncodeToString(sum[:8])
}

// DecisionSection is the part of the configuration that Decision reads.
func DecisionSection(c config.Config) any {
	return struct {
		state   config.State
		timeout time.Duration
		period  time.Duration
		delay   time.Duration
		camera  string
	}{c.State, c.Model.Timeout, currentPeriod(c.Meters), c.Camera.Delay, cameraOf(c.Camera)}
}

// Params returns the manifest's parameters, overridden by the configuration.
func Params(c config.State, d inference.Decision) state.Params {
	p := state.Params{
		MeanSeconds:   cmp.Or(c.MeanSeconds, d.MeanSeconds),
		Enter:         cmp.Or(c.Enter, d.Enter),
		Exit:          cmp.Or(c.Exit, d.Exit),
		HoldSeconds:   cmp.Or(c.HoldSeconds, d.HoldSeconds),
		NormalCurrent: c.NormalCurrent,
	}
	if own := d.Suspect; own != nil {
		p.Suspect = state.Suspect{
			MeanSeconds: cmp.Or(c.Suspect.MeanSeconds, own.MeanSeconds),
			Enter:       cmp.Or(c.Suspect.Enter, own.Enter),
			Exit:        cmp.Or(c.Suspect.Exit, own.Exit),
			HoldSeconds: cmp.Or(c.Suspect.HoldSeconds, own.HoldSeconds),
		}
	}
	return p
}

func rule(c config.State, r inference.Rule) inference.Rule {
	return inference.Rule{CV120: cmp.Or(c.CV120, r.CV120), CV45: cmp.Or(c.CV45, r.CV45)}
}

// CheckThresholds compares the thresholds in effect, of which the configuration may
// set one and the model's manifest the other.
func CheckThresholds(c config.State, d inference.Decision) error {
	p := Params(c, d)
	if err := checkPair("state", pair{c.Enter, c.Exit}, pair{p.Enter, p.Exit}); err != nil {
		return err
	}
	return checkPair("state.suspect", pair{c.Suspect.Enter, c.Suspect.Exit}, pair{p.Suspect.Enter, p.Suspect.Exit})
}

// pair are the thresholds of one filter.
type pair struct{ enter, exit float64 }

// checkPair compares the thresholds in effect; set are those of the configuration, below
// key.
func checkPair(key string, set, p pair) error {
	switch {
	case p.exit <= p.enter:
		return nil
	case set.exit == 0:
		return config.KeyErrorf(key+".enter", "%g is below %g, the model's exit, so the state would change every few seconds: set %s.exit to %g or less too", p.enter, p.exit, key, p.enter)
	case set.enter == 0:
		return config.KeyErrorf(key+".exit", "%g is above %g, the model's enter, so the state would change every few seconds: set %s.enter to %g or more too", p.exit, p.enter, key, p.exit)
	default:
		return config.KeyErrorf(key+".exit", "%g is above %s.enter (%g), so the state would change every few seconds", p.exit, key, p.enter)
	}
}

// CheckSampling returns why the model is not used at the meter's rate, or nil.
func CheckSampling(meters map[string]config.Meter, m *inference.Manifest) error {
	name, meter := config.CurrentMeter(meters)
	_, err := m.MinDensity(meter.Period)
	switch {
	case err == nil:
		return nil
	case decide.RuleReads(meter.Period):
		return config.KeyErrorf("meters."+name+".period", "%w; until then the rule on the current's variation decides", err)
	default:
		return config.KeyErrorf("meters."+name+".period", "%w; until then the video alone decides, and without a camera nothing does: the current only shows whether the furnace is off", err)
	}
}

// currentPeriod is the period of the meter that reads the currents.
func currentPeriod(meters map[string]config.Meter) time.Duration {
	_, m := config.CurrentMeter(meters)
	return m.Period
}
