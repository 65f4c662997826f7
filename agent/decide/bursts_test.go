package decide

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"meltwatch/drivers"
)

// phaseStep is the distance of the phases at which tests place the bursts.
func phaseStep() time.Duration {
	if testing.Short() {
		return 250 * time.Millisecond
	}
	return 50 * time.Millisecond
}

// atEachPhase runs a test with frames in bursts at each phase of the seconds.
func atEachPhase(t *testing.T, period time.Duration, test func(t *testing.T, s senses, r *recording)) {
	t.Helper()
	for phase := time.Duration(0); phase < time.Second; phase += phaseStep() {
		s := senses{period: period, interval: frames25, bursts: true, framePhase: phase, lag: 10 * time.Millisecond, lagJitter: 30 * time.Millisecond}
		t.Run(fmt.Sprintf("every %v, at %v", period, phase), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, s, watch(t.Context(), s, 3*time.Minute)) })
		})
	}
}

// Where only a few neighbours a second are decoded, no verdict waits for a frame, at
// whichever phase they come, and each second of the window but the newest has its frame.
func TestBurstsDelayNoVerdictAndLeaveNoHole(t *testing.T) {
	for _, period := range []time.Duration{100 * time.Millisecond, 500 * time.Millisecond, time.Second} {
		atEachPhase(t, period, func(t *testing.T, s senses, r *recording) {
			var took []time.Duration
			for _, second := range r.decided[20:] {
				from := second.value.End
				for _, a := range r.samples {
					if !a.at.After(second.at) && !a.value.Time.After(second.value.End) && a.at.After(from) {
						from = a.at
					}
				}
				took = append(took, second.at.Sub(from))
			}
			slices.Sort(took)
			if p95 := took[len(took)*95/100]; p95 > 8*time.Millisecond {
				t.Errorf("%s at the 95th percentile", p95)
			}
			for i, w := range r.windows[40:] {
				if slices.Contains(w.FrameMask[:len(w.FrameMask)-2], 0) {
					t.Fatalf("second %d: frames %v", i, w.FrameMask)
				}
			}
		})
	}
}

// A meter that is read twice a second or more lets the windows end where the newest slot has a
// frame, at most phases of the bursts.
func TestWindowsEndAfterABurst(t *testing.T) {
	filled, phases := 0, 0
	atEachPhase(t, 500*time.Millisecond, func(t *testing.T, s senses, r *recording) {
		with := 0
		last := r.windows[len(r.windows)-60:]
		for _, w := range last {
			with += int(w.FrameMask[len(w.FrameMask)-1])
		}
		t.Logf("%d of %d windows", with, len(last))
		phases++
		if with == len(last) {
			filled++
		}
		shifts := 0
		for i := 21; i < len(r.decided); i++ {
			if r.decided[i].value.End.Sub(r.decided[i-1].value.End) < usualStep {
				shifts++
			}
		}
		if shifts > 1 {
			t.Errorf("the windows' ends moved %d times", shifts)
		}
	})
	if filled < phases*7/10 {
		t.Errorf("each newest slot has a frame at %d of %d phases", filled, phases)
	}
}

// A frame that is up to a second old still belongs to the newest slot or the one before, and
// is encoded once.
func TestBurstsAreEncodedOnceASecond(t *testing.T) {
	atEachPhase(t, 500*time.Millisecond, func(t *testing.T, _ senses, r *recording) {
		for _, second := range r.decided[20:] {
			if age := second.value.End.Sub(second.value.Frame.Time); age > 1150*time.Millisecond || age < -50*time.Millisecond {
				t.Fatalf("a frame %s old", age)
			}
			if second.value.VideoCoverage < 1 {
				t.Fatalf("coverage %v", second.value.VideoCoverage)
			}
		}
	})
}

// On a box of many cores a burst lasts longer. One frame of each is encoded. The camera has no
// jitter: with it, a second may find the next burst or not, and then takes a later frame of the
// burst before.
func TestLongBurstsAreEncodedOnce(t *testing.T) {
	for _, interval := range []time.Duration{frames25, 105 * time.Millisecond, 130 * time.Millisecond} {
		for phase := time.Duration(0); phase < time.Second; phase += phaseStep() {
			s := senses{period: 500 * time.Millisecond, interval: interval, bursts: true, framePhase: phase, lag: 10 * time.Millisecond}
			t.Run(fmt.Sprintf("%v apart, at %v", interval, phase), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					times := map[uint32]int{}
					for _, number := range watch(t.Context(), s, time.Minute).encoded {
						times[(number-1)/burstPictures]++
					}
					for burst := uint32(20); burst < 55; burst++ {
						if times[burst] != 1 {
							t.Errorf("of burst %d %d frames are encoded", burst, times[burst])
						}
					}
				})
			})
		}
	}
}

// When every picture is decoded again, a second waits for its frame as before.
func TestCadenceForgetsBursts(t *testing.T) {
	var c cadence
	at := time.Now()
	for n := range 12 {
		c.note(drivers.Frame{Time: at.Add(time.Duration(n/4)*time.Second + time.Duration(n%4)*frames25), Number: uint64(n + 1), Stream: 1, Burst: true, Pixels: []byte{byte(n)}}, drivers.OK)
	}
	if c.earlier.Newest.Number != 8 || len(c.earlier.Newest.Pixels) != 1 || c.last.Number != 12 {
		t.Fatalf("frames %d and %d are kept", c.earlier.Newest.Number, c.last.Number)
	}
	c.note(drivers.Frame{Time: at.Add(3 * time.Second), Number: 13, Stream: 1, Pixels: []byte{1}}, drivers.OK)
	if c.earlier.Newest.Number != 0 || c.last.Pixels != nil {
		t.Errorf("frame %d and pixels %v are kept", c.earlier.Newest.Number, c.last.Pixels)
	}
}

// A frame that came while the picture was black, or that came without a burst, has no pixels
// that a later second may encode.
func TestOnlyLiveBurstsAreKept(t *testing.T) {
	at := time.Now()
	frame := func(n int, burst bool) drivers.Frame {
		return drivers.Frame{Time: at.Add(time.Duration(n) * time.Second), Number: uint64(n), Stream: 1, Burst: burst, Pixels: []byte{byte(n)}}
	}
	var c cadence
	c.note(frame(1, true), drivers.Black)
	c.note(frame(2, true), drivers.OK)
	if c.earlier.Newest.Number != 0 {
		t.Error("a black frame is kept")
	}
	c.note(frame(3, true), drivers.OK)
	if c.earlier.Newest.Number != 2 {
		t.Errorf("frame %d is kept, want 2", c.earlier.Newest.Number)
	}
	c.note(frame(3, true), drivers.Frozen)
	c.note(frame(4, true), drivers.OK)
	if c.earlier.Newest.Number != 0 {
		t.Errorf("frame %d is kept after a fault", c.earlier.Newest.Number)
	}
	c = cadence{}
	c.note(frame(1, false), drivers.OK)
	c.note(frame(2, true), drivers.OK)
	if c.earlier.Newest.Number != 0 {
		t.Error("a frame without pixels is kept")
	}
}
