package decide

import (
	"fmt"
	"time"

	"meltwatch/agent/align"
	"meltwatch/inference"
)

// sparseness keeps windows from the model that hold fewer samples than any that it
// was tested with: it takes missing samples for quiet current.
type sparseness struct {
	found bool // a second ago
}

const (
	// denser is by how much the density must pass its least before the model decides
	// again: it must not change from second to second who decides.
	denser = 0.05
	// outage is a gap after which the current may count as read anew: windows that
	// have only just begun are among the tested ones.
	outage = 10 * time.Second
)

// check says why the model cannot judge the window, nil when it can. A window with
// an outage is cut there if that helps. Where the sense has failed too, the current
// is hidden instead, and the model judges the video alone.
func (s *sparseness) check(w *align.Window, m *inference.Manifest, period time.Duration, live bool) error {
	if w.CurrentCoverage == 0 {
		return nil
	}
	least, err := m.LeastDensity(period)
	if err == nil {
		err = s.enough(w, least)
	}
	if err != nil && !live {
		w.MaskCurrent()
		return nil
	}
	return err
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
