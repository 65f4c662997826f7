package decide

import (
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"meltwatch/agent/state"
	"meltwatch/drivers"
	"meltwatch/inference"
)

// lateVideo runs a plant whose camera stamps every frame lateness seconds late. The
// model is fake, but its inputs are real: a frame's pixels hold its true instant, the
// set-point holds the sample's instant, and the local loss is computed from both in the
// window, with noise. Windows, correction and pool are therefore the real ones.
func lateVideo(t *testing.T, lateness float64, script func(*plant)) {
	t.Helper()
	lateVideoKnown(t, lateness, nil, script)
}

// lateVideoKnown is lateVideo with a model that has a confidence, or none.
func lateVideoKnown(t *testing.T, lateness float64, by *inference.OffsetConfidence, script func(*plant)) {
	t.Helper()
	m := manifest()
	m.Offset = &inference.Offset{EventAmps: 3000, WindowSeconds: 120, Pool: 60, StepSPerMin: 0.2, MaxS: 5, Confidence: by}
	for i := range 21 {
		m.Offset.ShiftsS = append(m.Offset.ShiftsS, -5+float64(i)/2)
	}
	operateWith(t, m, func(p *plant) {
		began, random := time.Now().Add(-time.Minute), rand.New(rand.NewPCG(4, 4))
		since := func(at time.Time) float64 { return at.Sub(began).Seconds() }
		p.setPoint = since
		p.video.pixels = func(stamp time.Time) []byte {
			return binary.BigEndian.AppendUint64(nil, math.Float64bits(since(stamp)-lateness))
		}
		p.model.tokens = func(f inference.Frame) []float32 {
			return []float32{float32(math.Float64frombits(binary.BigEndian.Uint64(f.Pixels))), 0}
		}
		p.model.more = func(w inference.Window) inference.Outputs {
			away, loss := misplaced(w), make([]float32, len(m.Offset.ShiftsS))
			for i, shift := range m.Offset.ShiftsS {
				d := away + shift
				loss[i] = float32(2 - math.Exp(-d*d/4) + 0.2*random.NormFloat64())
			}
			return inference.Outputs{inference.LocalLoss: loss, inference.Surprise: {0.25}}
		}
		script(p)
	})
}

// misplaced is the mean delay in seconds of the frames against their true instants; 0
// without a frame.
func misplaced(w inference.Window) float64 {
	var sum, n float64
	for slot, mask := range w.FrameMask {
		if mask == 1 {
			stands := float64(w.SetPoint) - float64(len(w.FrameMask)-1-slot)
			sum, n = sum+stands-float64(w.Tokens[2*slot]), n+1
		}
	}
	return sum / max(n, 1)
}

func TestCorrectionConvergesWithoutOscillation(t *testing.T) {
	for _, lateness := range []float64{3, -3, 0.6} {
		lateVideo(t, lateness, func(p *plant) {
			p.sleep(40 * time.Minute)
			last := p.last()
			if last.Offset == nil || math.Abs(last.Offset.Seconds-lateness) > 0.3 || last.Offset.Windows != 60 {
				t.Fatalf("late by %v s: found %+v", lateness, last.Offset)
			}
			if c := last.Correction.Seconds(); math.Abs(c-lateness) > 0.3 {
				t.Errorf("late by %v s: corrected by %v s after 40 minutes", lateness, c)
			}
			// Whole slots come within half a slot.
			if away := misplaced(p.model.windows[len(p.model.windows)-1]); math.Abs(away) > 0.8 {
				t.Errorf("late by %v s: frames are still %v s away from their instants", lateness, away)
			}
			steadily(t, p.seconds, lateness)
		})
	}
}

// steadily checks the pace and the direction of the correction.
func steadily(t *testing.T, seconds []Decision, lateness float64) {
	t.Helper()
	for i := 1; i < len(seconds); i++ {
		before, now := seconds[i-1].Correction.Seconds(), seconds[i].Correction.Seconds()
		if math.Abs(now-before) > 0.2/60+1e-9 {
			t.Fatalf("late by %v s: jumped from %v to %v s", lateness, before, now)
		}
		if math.Abs(now) > math.Abs(lateness)+0.3 || now*lateness < -0.01 {
			t.Fatalf("late by %v s: changed direction to %v s", lateness, now)
		}
		if seconds[i].Verdict.Source == state.Model && seconds[i].VideoCoverage < 0.9 && i > 20 {
			t.Fatalf("second %d: a correction of %v s left %v of the frames", i, now, seconds[i].VideoCoverage)
		}
	}
}

// With a confidence the estimate does not wait for the whole pool. The confidence is told
// before, and nothing is corrected until it is enough.
func TestTheConfidenceIsToldAndTheEstimateComesSooner(t *testing.T) {
	by := &inference.OffsetConfidence{MinWindows: 12, Threshold: 0.97, Intercept: 0, Features: map[string]inference.Coefficient{
		"height": {Mean: 2, Std: 1}, "agreement": {Mean: 0.5, Std: 1}, "significance": {Mean: 2, Std: 1, Weight: 1},
	}}
	lateVideoKnown(t, 3, by, func(p *plant) {
		p.sleep(3 * time.Minute)
		told, first := 0, 0
		for i, s := range p.seconds {
			if s.OffsetConfidence < 0 || s.OffsetConfidence > 1 || (s.Offset != nil) != (s.OffsetConfidence >= by.Threshold) {
				t.Fatalf("second %d: confidence %v, offset %+v", i, s.OffsetConfidence, s.Offset)
			}
			if s.OffsetConfidence > 0 && s.Offset == nil {
				told++
			}
			if s.Offset != nil && first == 0 {
				first = s.Offset.Windows
			}
			if first == 0 && s.Correction != 0 {
				t.Fatalf("second %d: corrected by %s before anything was known", i, s.Correction)
			}
		}
		last := p.last()
		if told == 0 || first < 12 || first >= 60 || last.Offset == nil || math.Abs(last.Offset.Seconds-3) > 0.3 || last.Correction <= 0 {
			t.Fatalf("told %d times before, first known from %d windows; in the end %+v, corrected by %s", told, first, last.Offset, last.Correction)
		}
	})
}

// An estimate does not outlive its windows while the video, the meter or the model is down:
// then no window is observed.
func TestAnEstimateEndsWithItsWindowsThoughNoneIsObserved(t *testing.T) {
	by := &inference.OffsetConfidence{MinWindows: 12, Threshold: 0.97, Intercept: 0, Features: map[string]inference.Coefficient{
		"height": {Std: 1}, "agreement": {Std: 1}, "significance": {Mean: 2, Std: 1, Weight: 1},
	}}
	lateVideoKnown(t, 3, by, func(p *plant) {
		p.sleep(3 * time.Minute)
		p.model.err = errors.New("model is broken")
		p.sleep(time.Minute)
		last := p.last()
		if last.Offset == nil {
			t.Fatal("nothing known a minute after the last window")
		}
		later := Decision{End: last.End.Add(8 * time.Hour)}
		p.do(func() { p.loop.Decider().addOffset(&later) })
		if later.Offset != nil || later.OffsetConfidence != 0 || later.Correction != last.Correction {
			t.Errorf("after 8 h: %+v, confidence %v, correction %s of %s", later.Offset, later.OffsetConfidence, later.Correction, last.Correction)
		}
	})
}

func TestWithoutEventsNothingIsKnownOrMoved(t *testing.T) {
	lateVideo(t, 3, func(p *plant) {
		p.noise = 300
		p.sleep(20 * time.Minute)
		if s := p.last(); s.Offset != nil || s.Correction != 0 || s.Surprise != 0.25 {
			t.Fatalf("offset %+v, correction %s, surprise %v", s.Offset, s.Correction, s.Surprise)
		}
	})
}

func TestEstimateRestartsAndTheCorrectionStays(t *testing.T) {
	for name, change := range map[string]func(*plant){
		"another model":       func(p *plant) { p.model.sha256 = "second" },
		"camera opened again": func(p *plant) { p.video.stream++ },
	} {
		t.Run(name, func(t *testing.T) {
			lateVideo(t, 2, func(p *plant) {
				p.sleep(5 * time.Minute)
				before := p.last()
				if before.Offset == nil || before.Correction == 0 {
					t.Fatalf("nothing known after 5 minutes: %+v", before)
				}
				change(p)
				p.sleep(2 * time.Second)
				after := p.last()
				if after.Offset != nil || after.Correction < before.Correction || after.Correction-before.Correction > 10*time.Millisecond {
					t.Fatalf("offset %+v, correction %s, before %s", after.Offset, after.Correction, before.Correction)
				}
				p.sleep(2 * time.Minute)
				if again := p.last(); again.Offset == nil || math.Abs(again.Offset.Seconds-2) > 0.4 {
					t.Fatalf("two minutes later: %+v", again.Offset)
				}
			})
		})
	}
}

func TestAnotherModelStartsFromItsOwnTokens(t *testing.T) {
	operate(t, func(p *plant) {
		p.sleep(30 * time.Second)
		p.model.sha256 = "second"
		p.sleep(1100 * time.Millisecond)
		last := p.model.windows[len(p.model.windows)-1]
		var frames float32
		for _, mask := range last.FrameMask {
			frames += mask
		}
		if frames > 2 {
			t.Errorf("%v frames of the previous model are in the window", frames)
		}
		started := false
		for _, f := range p.model.frames[len(p.model.frames)-2:] {
			started = started || f.Background == nil
		}
		if !started {
			t.Error("the background of the previous model was passed on")
		}
	})
}

func TestLocalLossOfAnotherLengthIsAFault(t *testing.T) {
	lateVideo(t, 0, func(p *plant) {
		p.model.more = func(inference.Window) inference.Outputs {
			return inference.Outputs{inference.LocalLoss: {1, 2, 3}}
		}
		p.sleep(60 * time.Second)
		s := p.last()
		if s.Fault == nil || !strings.Contains(s.Fault.Error(), "local_loss has 3 values, its manifest says 21") || s.Verdict.Source != state.Rule {
			t.Fatalf("fault %v, verdict by %s", s.Fault, s.Verdict.Source)
		}
	})
}

func TestVerdictNamesTheSensesItUses(t *testing.T) {
	for _, c := range []struct {
		fact   string
		change func(*plant)
		after  time.Duration
		want   Counted
	}{
		{"both senses", func(*plant) {}, time.Second, Counted{Current: true, Video: true}},
		{"a camera long gone", func(p *plant) { p.video.status = drivers.Absent }, 20 * time.Second, Counted{Current: true}},
		{"a meter long gone", func(p *plant) { p.dead = true }, 125 * time.Second, Counted{Video: true}},
		{"a stuck meter", func(p *plant) { p.stuck = true }, 20 * time.Second, Counted{Video: true}},
		{"the rule", func(p *plant) { p.model.stalls = true }, 3 * time.Second, Counted{Current: true}},
		{"nothing", func(p *plant) { p.dead, p.video.status = true, drivers.Absent }, 125 * time.Second, Counted{}},
	} {
		t.Run(c.fact, func(t *testing.T) {
			operate(t, func(p *plant) {
				p.sleep(130 * time.Second)
				c.change(p)
				p.sleep(c.after)
				if got := p.last(); got.Counted != c.want {
					t.Fatalf("counted %+v, want %+v; verdict by %s, fault %v", got.Counted, c.want, got.Verdict.Source, got.Fault)
				}
			})
		})
	}
}

func TestModelWithoutLocalLossGivesNoOffset(t *testing.T) {
	operate(t, func(p *plant) {
		p.sleep(3 * time.Minute)
		if s := p.last(); s.Offset != nil || s.Correction != 0 || !math.IsNaN(s.Surprise) {
			t.Fatalf("offset %+v, correction %s, surprise %v", s.Offset, s.Correction, s.Surprise)
		}
	})
}
