package align

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"meltwatch/drivers"
	"meltwatch/inference"
)

// late returns a manifest with the section offset, as the export writes it.
func late(pool int) *inference.Manifest {
	shifts := make([]float64, 21)
	for i := range shifts {
		shifts[i] = -5 + float64(i)/2
	}
	return &inference.Manifest{
		Current: inference.CurrentSpec{RateHz: 2, Samples: 240, Phases: 3},
		Video:   inference.VideoSpec{RateHz: 1, Frames: 16, Tokens: 1, Dim: 2},
		Offset:  &inference.Offset{ShiftsS: shifts, EventAmps: 3000, WindowSeconds: 120, ProminenceS: 1.5, Pool: pool, StepSPerMin: 0.2, MaxS: 5},
	}
}

// valley returns the loss curve of a window whose video is late by lateness seconds and
// lag seconds behind its slots; deep is the depth of the curve's minimum.
func valley(m *inference.Manifest, lateness, lag, deep float64, noise func() float64) []float32 {
	loss := make([]float32, len(m.Offset.ShiftsS))
	for i, shift := range m.Offset.ShiftsS {
		away := shift - (lag - lateness)
		loss[i] = float32(2 - deep*math.Exp(-away*away/2) + noise())
	}
	return loss
}

func silent() float64 { return 0 }

// eventWindow returns a window that ends at end seconds and has a jump of one phase
// during its frames.
func eventWindow(end, lag, jump float64) Window {
	w := Window{End: at(end), VideoLag: seconds(lag), period: model.SamplePeriod, Input: inference.Window{
		Current: make([]float32, 240*drivers.Phases), SampleMask: make([]float32, 240),
	}}
	for slot := range w.Input.SampleMask {
		w.Input.SampleMask[slot] = 1
		for phase := range drivers.Phases {
			w.Input.Current[slot*drivers.Phases+phase] = 15_000
		}
	}
	w.Input.Current[230*drivers.Phases+1] += float32(jump)
	return w
}

const jump = 4000 // amperes, an event

// observed returns an estimator after a number of event windows, one a second.
func observed(m *inference.Manifest, windows int, curve func(i int) []float32) *Offset {
	o := NewOffset(m)
	for i := range windows {
		o.Observe(eventWindow(float64(i), 0, jump), curve(i))
	}
	return o
}

// always returns the same curve for every window.
func always(loss []float32) func(int) []float32 { return func(int) []float32 { return loss } }

func TestPooledCurvesFindTheOffset(t *testing.T) {
	for _, lateness := range []float64{-3, -1.7, -0.25, 0, 0.6, 2.2, 3} {
		m, random := late(60), rand.New(rand.NewPCG(1, 1))
		o := NewOffset(m)
		for i := range 60 {
			if _, known := o.Estimate(); known {
				t.Fatalf("known after %d windows", i)
			}
			lag := random.Float64() - 0.5 // the phase between frames and slots
			noise := func() float64 { return 0.3 * random.NormFloat64() }
			o.Observe(eventWindow(float64(i), lag, jump), valley(m, lateness, lag, 1, noise))
		}
		e, known := o.Estimate()
		if !known || math.Abs(e.Seconds-lateness) > 0.3 || e.Windows != 60 || !(e.Spread > 0 && e.Spread < 1) {
			t.Errorf("late by %v s: found %+v, known %v", lateness, e, known)
		}
	}
}

func TestTheOffsetLiesBetweenTwoShifts(t *testing.T) {
	m := late(4)
	o := observed(m, 4, always(valley(m, 1.2, 0, 1, silent)))
	if e, known := o.Estimate(); !known || math.Abs(e.Seconds-1.2) > 0.05 || e.Spread > 1e-6 {
		t.Fatalf("found %+v, known %v, want 1.2 s", e, known)
	}
}

// The fit of the furnace's state adds a slope to the curve, so the least loss is at its
// end.
func TestADipIsFoundOnASlope(t *testing.T) {
	for dip, want := range map[float64]bool{1.5: true, 0: false} {
		m := late(4)
		m.Offset.ProminenceS = dip
		loss := valley(m, 1.2, 0, 1, silent)
		for k, shift := range m.Offset.ShiftsS {
			loss[k] += float32(0.3 * shift)
		}
		e, known := observed(m, 4, always(loss)).Estimate()
		if known != want || known && math.Abs(e.Seconds-1.2) > 0.05 {
			t.Errorf("dip_s %v: found %+v, known %v", dip, e, known)
		}
	}
}

// A model that was exported without dip_s is still supported.
func TestWithoutADipTheLeastLossCounts(t *testing.T) {
	m := late(4)
	m.Offset.ProminenceS = 0
	o := observed(m, 4, always(valley(m, -0.7, 0, 1, silent)))
	if e, known := o.Estimate(); !known || math.Abs(e.Seconds+0.7) > 0.05 {
		t.Fatalf("found %+v, known %v, want −0.7 s", e, known)
	}
}

// While the correction grows, windows of one pool differ by whole slots.
func TestCurvesUnderDifferentCorrectionsArePooledByLateness(t *testing.T) {
	m := late(60)
	o := NewOffset(m)
	for i := range 60 {
		lag := 0.0
		if i%4 == 0 {
			lag = 4
		}
		o.Observe(eventWindow(float64(i), lag, jump), valley(m, 1, lag, 1, silent))
	}
	if e, known := o.Estimate(); !known || math.Abs(e.Seconds-1) > 0.1 {
		t.Fatalf("found %+v, known %v, want 1 s", e, known)
	}
}

func TestCurvesThatShowNothingGiveNoEstimate(t *testing.T) {
	random := rand.New(rand.NewPCG(2, 2))
	m := late(60)
	for name, curve := range map[string]func(i int) []float32{
		"flat":                   func(int) []float32 { return make([]float32, 21) },
		"flat but for rounding":  func(int) []float32 { return valley(m, 1, 0, 1e-7, silent) },
		"falling over the edge":  func(int) []float32 { return valley(m, 7, 0, 1, silent) },
		"rising from the edge":   func(int) []float32 { return valley(m, -7, 0, 1, silent) },
		"least at the very edge": func(int) []float32 { return valley(m, 5, 0, 1, silent) },
		"noise alone":            func(int) []float32 { return valley(m, 0, 0, 0, random.NormFloat64) },
		"two minima":             func(i int) []float32 { return valley(m, float64(i/15%2)*4-2, 0, 1, silent) },
	} {
		o := observed(m, 60, curve)
		if e, known := o.Estimate(); known {
			t.Errorf("%s: found %+v", name, e)
		}
		if c := o.Correction(); c != 0 {
			t.Errorf("%s: corrected by %s", name, c)
		}
	}
}

// Noise must rarely give an estimate.
func TestNoiseRarelyGivesAnEstimate(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 3))
	m := late(60)
	found := 0
	for range 300 {
		o := observed(m, 60, func(int) []float32 { return valley(m, 0, 0, 0, random.NormFloat64) })
		if _, known := o.Estimate(); known {
			found++
		}
	}
	if found > 15 {
		t.Errorf("%d of 300 pools of noise gave an estimate", found)
	}
}

func TestQuietWindowsGiveNoEstimate(t *testing.T) {
	m := late(4)
	o := NewOffset(m)
	for i := range 100 {
		o.Observe(eventWindow(float64(i), 0, 2999), valley(m, 2, 0, 1, silent))
	}
	if _, known := o.Estimate(); known || o.Correction() != 0 {
		t.Fatal("windows without an event gave an estimate")
	}
}

func TestCorrectionIsSlowBoundedAndStandsStillBetweenEvents(t *testing.T) {
	m := late(4)
	o := NewOffset(m)
	second := 0
	observe := func(amperes float64) { // a second
		o.Observe(eventWindow(float64(second), 0, amperes), valley(m, 3, 0, 1, silent))
		second++
	}
	for range 4 + 60 {
		before := o.Correction()
		observe(jump)
		if step := o.Correction() - before; step < 0 || step > seconds(0.2)/60 {
			t.Fatalf("moved by %s within a second", step)
		}
	}
	if c := o.Correction().Seconds(); math.Abs(c-0.2) > 0.01 {
		t.Fatalf("%v s after a minute, want 0.2", c)
	}
	before := o.Correction()
	for range 600 {
		observe(100)
	}
	if o.Correction() != before {
		t.Fatal("moved without an event")
	}
	second += 3600 // a gap of an hour must not speed it up
	observe(jump)
	if step := o.Correction() - before; step > seconds(0.2)/60 {
		t.Fatalf("moved by %s after a gap", step)
	}
	for range 3600 {
		observe(jump)
	}
	if c := o.Correction().Seconds(); math.Abs(c-3) > 0.05 {
		t.Fatalf("%v s in the end, want 3", c)
	}
}

func TestCorrectionEndsAtItsBound(t *testing.T) {
	m := late(4)
	m.Offset.MaxS = 1
	o := observed(m, 1200, always(valley(m, -3, 0, 1, silent)))
	if e, known := o.Estimate(); !known || math.Abs(e.Seconds+3) > 0.1 || o.Correction() != -time.Second {
		t.Fatalf("estimate %+v, correction %s; want −3 s seen and −1 s taken", e, o.Correction())
	}
}

func TestRestartForgetsTheEstimateAndKeepsTheCorrection(t *testing.T) {
	m := late(4)
	o := observed(m, 200, always(valley(m, 3, 0, 1, silent)))
	before := o.Correction()
	o.Restart()
	if _, known := o.Estimate(); known || o.Correction() != before || before == 0 {
		t.Fatalf("known %v, correction %s, before %s", known, o.Correction(), before)
	}
	for i := range 3 {
		o.Observe(eventWindow(float64(200+i), 0, jump), valley(m, 0, 0, 1, silent))
	}
	if o.Correction() != before {
		t.Fatal("moved on less than a pool")
	}
	o.Observe(eventWindow(203, 0, jump), valley(m, 0, 0, 1, silent))
	if c := o.Correction(); c >= before || before-c > seconds(0.2)/60 {
		t.Fatalf("from %s to %s", before, c)
	}
}

func TestModelWithoutLocalLossHasNoOffset(t *testing.T) {
	m := late(4)
	m.Offset = nil
	if NewOffset(m) != nil || GeometryOf(m).MostCorrection != 0 {
		t.Fatal("an estimator for a model without local_loss")
	}
}
