package decide

import (
	"fmt"
	"time"

	"meltwatch/agent/align"
	"meltwatch/drivers"
	"meltwatch/inference"
)

// follow detects a new model or camera stream, and discards what was derived from the
// previous one.
func (d *Decider) follow(frame drivers.Frame) {
	if loaded, ok := d.model.Model(); ok && loaded.SHA256 != d.sha256 {
		if d.sha256 != "" {
			d.aligner.ForgetFrames() // another model's tokens
			d.background, d.freeze, d.lastFrame, d.familiar = nil, freeze{}, time.Time{}, familiarity{}
			d.baseline = nil
			d.restartOffset()
		}
		d.sha256 = loaded.SHA256
		d.useResumed()
	}
	if frame.Number > 0 && frame.Stream != d.stream {
		if d.stream != 0 {
			d.restartOffset()
		}
		d.stream = frame.Stream
	}
}

func (d *Decider) restartOffset() {
	if d.offset != nil {
		d.offset.Restart()
	}
}

// startAt corrects the video by a delay that a person has set. What was estimated before is
// discarded: the correction stays there until enough windows show another delay.
func (d *Decider) startAt(delay time.Duration) {
	d.delay = delay
	if d.offset != nil {
		d.offset.StartAt(delay)
	}
	d.aligner.Correct(delay)
}

// observeOffset updates the clock offset from the model's local loss, in seconds with
// both senses live.
func (d *Decider) observeOffset(w align.Window, s *Decision, outputs inference.Outputs) error {
	if d.offset == nil {
		return nil
	}
	loss, want := outputs[inference.LocalLoss], len(d.manifest.Offset.ShiftsS)
	if len(loss) != want {
		return fmt.Errorf("model output %s has %d values, its manifest says %d", inference.LocalLoss, len(loss), want)
	}
	if s.Current.Live() && s.Video.Live() && s.Verdict.VideoFull {
		d.offset.Observe(w, loss)
		d.aligner.Correct(d.offset.Correction())
	}
	return nil
}

// addOffset adds the known offset to a decision, also to one by the rule.
func (d *Decider) addOffset(s *Decision) {
	if d.offset == nil {
		s.Correction = d.delay
		return
	}
	d.offset.DropOld(s.End) // no window may have been observed for hours
	estimate, known := d.offset.Estimate()
	if known {
		s.Offset = &estimate
	}
	s.OffsetConfidence = estimate.Confidence
	s.Correction = d.offset.Correction()
}
