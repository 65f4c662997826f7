package align

import (
	"math"
	"testing"
	"time"
)

// frames returns an aligner with 60 s of both senses: samples on the grid, and one
// frame a second whose token is its second.
func frames(most time.Duration, phase float64) *Aligner {
	g := model
	g.MostCorrection = most
	a := New(g)
	for i := range 120 {
		a.AddSample(sample(i, float64(i)/2))
	}
	for i := range 60 {
		a.AddFrame(EncodedFrame{Time: at(float64(i) + phase), Tokens: []float32{float32(i), 1}, Evidence: []float32{float32(i)}})
	}
	return a
}

// slots returns the seconds of the frames in the slots, −1 for a masked slot.
func slots(w Window) []int {
	held := make([]int, model.Frames)
	for slot := range held {
		held[slot] = -1
		if w.Input.FrameMask[slot] == 1 {
			held[slot] = int(w.Input.Tokens[2*slot])
		}
	}
	return held
}

const now = 59.5 + 0.2 // the window ends at 59.5 s, its slots at x.5 s

func TestLateVideoIsPlacedInItsSlots(t *testing.T) {
	a := frames(5*time.Second, 0.4)
	a.Correct(3 * time.Second)
	w := a.Window(at(now))
	// Slot 12 stands at 56.5 s, which the frame stamped 59.4 s shows.
	if held := slots(w); held[12] != 59 || held[0] != 47 || held[13] != -1 || held[15] != -1 {
		t.Fatalf("slots hold %v", held)
	}
	if w.VideoCoverage != 1 || math.Abs(w.CurrentCoverage-0.5) > 1e-9 || w.Evidence[0] != 59 {
		t.Fatalf("coverage %v of the slots that a late video can fill, current %v, evidence %v", w.VideoCoverage, w.CurrentCoverage, w.Evidence)
	}
	if lag := w.VideoLag.Seconds(); math.Abs(lag-2.9) > 1e-6 {
		t.Fatalf("frames lie %v s behind their slots, want 2.9", lag)
	}
}

func TestEarlyVideoWaitsForItsCurrent(t *testing.T) {
	a := frames(5*time.Second, 0.4)
	a.Correct(-3 * time.Second)
	w := a.Window(at(now))
	if held := slots(w); held[15] != 56 || held[0] != 41 {
		t.Fatalf("slots hold %v, want 41 to 56", held)
	}
	if w.VideoCoverage != 1 || math.Abs(w.VideoLag.Seconds()+3.1) > 1e-6 {
		t.Fatalf("coverage %v, lag %s", w.VideoCoverage, w.VideoLag)
	}
}

// A growing correction moves all frames by a whole slot at once, and neither loses nor
// doubles a frame.
func TestCreepingCorrectionMovesFramesByWholeSlots(t *testing.T) {
	a := frames(5*time.Second, 0.205)
	moves := 0
	before := slots(a.Window(at(now)))
	for ms := 0; ms <= 2000; ms += 10 {
		a.Correct(time.Duration(ms) * time.Millisecond)
		held := slots(a.Window(at(now)))
		if held[0] == before[0] {
			continue
		}
		moves++
		for slot := 0; slot+moves < model.Frames; slot++ {
			if held[slot] != before[slot]+1 {
				t.Fatalf("at %d ms the slots hold %v, before %v", ms, held, before)
			}
		}
		before = held
	}
	if moves != 2 {
		t.Fatalf("%d moves in two seconds, want 2", moves)
	}
}

func TestCorrectionStopsAtItsBound(t *testing.T) {
	a := frames(2*time.Second, 0.5)
	a.Correct(9 * time.Second)
	if held := slots(a.Window(at(now))); held[13] != 59 {
		t.Fatalf("slots hold %v, want a correction of 2 s", held)
	}
}

func TestSwingIsTheLargestChangeOfNeighbours(t *testing.T) {
	a := New(model)
	for i := range 240 {
		s := sample(0, float64(i)/2)
		s.Current = [3]float64{15_000, 15_000, 15_000}
		switch {
		case i == 100:
			s.Current[1] = 9_000 // long before the frames
		case i == 230:
			s.Current[2] = 11_500
		case i >= 235:
			s.Current[0] = 5_000 // after a gap, so the speed of the change is unknown
		case i == 234:
			continue
		}
		a.AddSample(s)
	}
	w := a.Window(at(119.7))
	if got := w.Swing(16 * time.Second); got != 3_500 {
		t.Errorf("swing of the frames' samples %v A, want 3500", got)
	}
	if got := w.Swing(120 * time.Second); got != 6_000 {
		t.Errorf("swing of the window %v A, want 6000", got)
	}
	if got := New(model).Window(at(1)).Swing(16 * time.Second); got != 0 {
		t.Errorf("swing of an empty window %v A", got)
	}
}
