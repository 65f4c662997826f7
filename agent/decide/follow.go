package decide

import (
	"fmt"
	"time"

	"meltwatch/agent/align"
	"meltwatch/drivers"
	"meltwatch/inference"
)

// follow notices a model or an opening of the camera that is not the one before,
// and forgets what only the one before could teach.
func (j *Decider) follow(frame drivers.Frame) {
	if loaded, ok := j.model.Model(); ok && loaded.SHA256 != j.sha256 {
		if j.sha256 != "" {
			j.aligner.ForgetFrames() // another model's tokens
			j.background, j.lastFrame = nil, time.Time{}
			j.restartOffset()
		}
		j.sha256 = loaded.SHA256
	}
	if frame.Number > 0 && frame.Stream != j.stream {
		if j.stream != 0 {
			j.restartOffset()
		}
		j.stream = frame.Stream
	}
}

func (j *Decider) restartOffset() {
	if j.offset != nil {
		j.offset.Restart()
	}
}

// learn lets the model's local loss teach the clock offset, and says what is
// known of it. Only a second in which both senses can be believed teaches.
func (j *Decider) learn(w align.Window, s *Decision, outputs inference.Outputs) error {
	if j.offset == nil {
		return nil
	}
	loss, want := outputs[inference.LocalLoss], len(j.manifest.Offset.ShiftsS)
	if len(loss) != want {
		return fmt.Errorf("model answered %d values for %s, its manifest says %d", len(loss), inference.LocalLoss, want)
	}
	if s.Current.Live() && s.Video.Live() && s.Verdict.VideoFull {
		j.offset.Observe(w, loss)
		j.aligner.Correct(j.offset.Correction())
	}
	return nil
}

// attend fills in what is known of the offset, whoever decided the second.
func (j *Decider) attend(s *Decision) {
	if j.offset == nil {
		return
	}
	if estimate, ok := j.offset.Estimate(); ok {
		s.Offset = &estimate
	}
	s.Correction = j.offset.Correction()
}
