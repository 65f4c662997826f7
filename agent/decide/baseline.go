package decide

import (
	"errors"
	"fmt"

	"meltwatch/inference"
)

// CurrentBaseline is how much the current usually fluctuates, as the model tells it
// (inference.CurrentBaseline). During an episode the current is quiet, and an agent that is
// restarted then would learn that as usual. So it is kept with an alarm, as the background is.
type CurrentBaseline struct {
	// Model is the SHA-256 of the model that made it.
	Model string `json:"model"`
	// Values are float32, little-endian, in the shape of the manifest's current_baseline.
	Values []byte `json:"values"`
}

// CurrentBaseline returns the baseline in use, or that of the last run while the model is not loaded
// yet; nil without one.
func (d *Decider) CurrentBaseline() *CurrentBaseline {
	switch {
	case d.resumedBaseline != nil:
		return d.resumedBaseline
	case d.baseline == nil || d.sha256 == "":
		return nil
	}
	return &CurrentBaseline{Model: d.sha256, Values: inference.AppendFloats(nil, d.baseline)}
}

// ResumeCurrentBaseline lets the decider begin with the baseline of the agent's last run, which
// ended with an alarm or a suspicion. It is used if it is of the same model. Values that are not
// finite, or too few or too many for the manifest's shape, are an error.
func (d *Decider) ResumeCurrentBaseline(b CurrentBaseline) error {
	want := d.manifest.CurrentBaselineSize()
	if want == 0 {
		return errors.New("the model takes no baseline of the current")
	}
	if err := checkResumed("baseline of the current", b.Values, want); err != nil {
		return err
	}
	d.resumedBaseline = &b
	return nil
}

// returnedBaseline is the baseline among the model's outputs, nil for a model without one. An
// invalid one is an error: it would affect every further second.
func (d *Decider) returnedBaseline(outputs inference.Outputs) ([]float32, error) {
	want := d.manifest.CurrentBaselineSize()
	if want == 0 {
		return nil, nil
	}
	baseline := outputs[inference.CurrentBaseline]
	if len(baseline) != want {
		return nil, fmt.Errorf("model output %s has %d values, its manifest says %d", inference.CurrentBaseline, len(baseline), want)
	}
	return baseline, inference.CheckFinite(inference.CurrentBaseline, baseline)
}

// followCurrent takes over the baseline that the model returned for a second, unless that second
// freezes the background. While nothing is known yet it takes none over either: the first one would
// be that of the episode.
func (d *Decider) followCurrent(returned []float32) {
	if returned != nil && !d.freeze.on {
		d.baseline = returned
	}
}
