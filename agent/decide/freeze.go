package decide

import (
	"meltwatch/agent/state"
	"meltwatch/inference"
)

// freeze decides whether the background stands still, so that it does not absorb a growing
// spot: while the model finds the furnace abnormal, and while one sense alone does. The baseline
// of the current stands still with it, so that an abnormal, quiet current is not taken for usual.
//
// A reflection that stays may look abnormal to the video for hours. Therefore one sense
// alone freezes the background for a number of seconds at most. After that the background
// follows, and the sense freezes it again only when it has been calm for as long.
type freeze struct {
	on bool
	// alone is for how many seconds one sense alone has frozen the background, less the
	// calm seconds since.
	alone int
	spent bool // alone has reached its bound, and not yet returned to 0
}

// step counts one second.
func (f *freeze) step(s Decision, m inference.Decision) {
	byModel := s.Verdict.Source == state.Model
	suspected := byModel && m.FreezeAlone > 0 && (s.PCurrent >= m.FreezeAlone || s.PVideo >= m.FreezeAlone)
	switch {
	case byModel && s.Verdict.P >= m.FreezeBackground || s.Status.State == state.Abnormal,
		// A suspicion that was resumed stands, but the window is not full enough for a verdict.
		s.Status.Suspicion.On && s.Verdict.Source == state.None:
		f.on = true
		return
	case !suspected:
		f.alone = max(f.alone-1, 0)
	case !f.spent:
		f.alone++
	}
	f.on = suspected && !f.spent
	f.spent = f.alone > 0 && (f.spent || f.alone >= m.FreezeAloneSeconds)
}
