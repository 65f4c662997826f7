package decide

import (
	"fmt"
	"time"

	"meltwatch/agent/align"
	"meltwatch/inference"
)

// sparseness detects windows with fewer samples than the model was tested with: the
// model mistakes missing samples for quiet current.
//
// The rule then decides instead. If there are too few samples for the rule as well, the
// current is set aside, and the model decides from the video alone.
type sparseness struct {
	found bool // in the previous second
	// unable counts the seconds in which the rule could not decide either; able counts
	// the seconds in a row in which it could again.
	unable, able int
}

const (
	// denser is the margin above the least density before the model decides again, so
	// that the decider does not change from second to second.
	denser = 0.05
	// outage is a gap after which the window may start again: the model's tests include
	// windows that have just begun.
	outage = 10 * time.Second
	// asideAfter seconds without the rule set the current aside: a meter that is read
	// often enough has filled the rule's shorter span by then. asideUntil seconds in a
	// row with the rule end that.
	asideAfter = 45
	asideUntil = 10
)

// check returns why the model cannot use the window, or nil. If it helps, the samples
// before an outage are hidden. If the sense has failed or the current is set aside, all
// samples are hidden, and the model decides from the video.
func (s *sparseness) check(w *align.Window, m *inference.Manifest, period time.Duration, live bool, levels inference.Rule) (aside bool, err error) {
	if w.CurrentCoverage == 0 {
		return false, nil
	}
	least, err := m.MinDensity(period)
	if err == nil {
		err = s.enough(w, least)
	}
	aside = live && s.aside(err, *w, levels)
	if err != nil && (!live || aside && w.VideoCoverage > 0) {
		w.MaskCurrent()
		err = nil
	}
	return aside, err
}

// aside counts one second, and reports whether neither the model nor the rule can use
// the current.
func (s *sparseness) aside(sparse error, w align.Window, levels inference.Rule) bool {
	if _, _, ok := rule(w, levels); !ok && sparse != nil {
		s.unable++
		s.able = 0
	} else if s.able++; sparse == nil || s.able >= asideUntil {
		s.unable = 0
	}
	return s.unable >= asideAfter
}

func (s *sparseness) enough(w *align.Window, least float64) error {
	need := least
	if s.found {
		need = min(least+denser, 1)
	}
	if w.CurrentDensity < need {
		w.AfterGap(outage)
	}
	if s.found = w.CurrentDensity < need; s.found {
		return fmt.Errorf("%.0f %% of the window's samples are missing; the model was tested with up to %.0f %%: see the meter's errors and missed polls in health",
			100*(1-w.CurrentDensity), 100*(1-least))
	}
	return nil
}
