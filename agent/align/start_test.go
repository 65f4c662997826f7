package align

import (
	"math"
	"testing"
	"time"
)

// A delay that is set beyond what the model corrects by itself is not drawn back when the
// estimate agrees with it; without a known estimate it stays.
func TestCorrectionStartsAtTheDelayThatIsSet(t *testing.T) {
	for _, c := range []struct {
		start    time.Duration
		lateness float64 // of the windows
		want     float64
	}{
		{4500 * time.Millisecond, 4.4, 4.4}, {-4 * time.Second, -4, -4}, {time.Second, 4.4, 3}, {0, -4.4, -3}, {3 * time.Second, 1, 1},
	} {
		m := late(4)
		m.Offset.MaxS = 3
		o := NewOffset(m)
		o.Observe(eventWindow(0, 0, jump), valley(m, c.lateness, 0, 1, silent))
		o.StartAt(c.start)
		for i := range 3 {
			o.Observe(eventWindow(float64(1+i), 0, jump), valley(m, c.lateness, 0, 1, silent))
		}
		if _, known := o.Estimate(); known || o.Correction() != c.start {
			t.Errorf("%+v: correction %s, known %t, with three windows since", c, o.Correction(), known)
		}
		for i := range 3600 {
			o.Observe(eventWindow(float64(4+i), 0, jump), valley(m, c.lateness, 0, 1, silent))
		}
		if got := o.Correction().Seconds(); math.Abs(got-c.want) > 0.3 {
			t.Errorf("%+v: corrected by %v s", c, got)
		}
	}
}
