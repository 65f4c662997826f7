package decide

import (
	"fmt"
	"math"

	"meltwatch/inference"
)

// Background is the picture that the model compares frames with. While a furnace is abnormal it
// shows the shell without the hot spot, and an agent that is restarted then could not learn it
// again. So it is kept with an alarm.
type Background struct {
	// Model is the SHA-256 of the model that made it, Camera identifies what it shows.
	Model  string `json:"model"`
	Camera string `json:"camera"`
	// Values are float32, little-endian, in the shape of the manifest's video.background.
	Values []byte `json:"values"`
}

// Background returns the background in use, or that of the last run while the model is not loaded
// yet; nil without one.
func (d *Decider) Background() *Background {
	switch {
	case d.resumed != nil:
		return d.resumed
	case d.background == nil || d.sha256 == "":
		return nil
	}
	return &Background{Model: d.sha256, Camera: d.shows, Values: inference.AppendFloats(nil, d.background)}
}

// ResumeBackground lets the decider begin with the background of the agent's last run, which
// ended with an alarm or a suspicion. It is used if it is of the same camera and model, and stands
// still at least until the first verdict. Values that are not finite, or too few or too many for
// the manifest's shape, are an error.
func (d *Decider) ResumeBackground(b Background) error {
	want := 1
	for _, n := range d.manifest.Video.Background {
		want *= n
	}
	if err := checkResumed("background", b.Values, want); err != nil {
		return err
	}
	d.resumed = &b
	return nil
}

// checkResumed reports why the bytes are not that many finite values.
func checkResumed(what string, values []byte, want int) error {
	const size = 4 // of a float32
	if len(values) != want*size {
		return fmt.Errorf("the %s has %d bytes, want %d", what, len(values), want*size)
	}
	for _, v := range inference.Floats(values) {
		if v := float64(v); math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("the %s holds a value that is not finite", what)
		}
	}
	return nil
}

// useResumed takes the last run's background and baseline of the current once the model is known.
func (d *Decider) useResumed() {
	b, baseline := d.resumed, d.resumedBaseline
	d.resumed, d.resumedBaseline = nil, nil
	if b != nil && b.Model == d.sha256 && b.Camera == d.camera {
		d.background, d.shows, d.freeze.on = inference.Floats(b.Values), b.Camera, true
	}
	if baseline != nil && baseline.Model == d.sha256 {
		d.baseline = inference.Floats(baseline.Values)
	}
}
