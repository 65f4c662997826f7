package align

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"meltwatch/drivers"
	"meltwatch/inference"
)

var (
	model = Geometry{SamplePeriod: 500 * time.Millisecond, Samples: 240, FramePeriod: time.Second, Frames: 16, FrameTokens: 2}
	start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
)

func at(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }

// sample returns a sample whose current is its number, so that a test can tell which
// sample a slot holds.
func sample(number int, seconds float64) drivers.Sample {
	return drivers.Sample{Time: at(seconds), Current: [3]float64{float64(number), 0, 0}, SetPoint: 15_000}
}

func numbers(w Window) []int {
	var n []int
	for slot, mask := range w.Input.SampleMask {
		if mask == 1 {
			n = append(n, int(w.Input.Current[slot*drivers.Phases]))
		}
	}
	return n
}

func increasing(n []int) bool {
	for i := 1; i < len(n); i++ {
		if n[i] <= n[i-1] {
			return false
		}
	}
	return true
}

func TestRegularPollsFillTheWindow(t *testing.T) {
	a := New(model)
	for i := range 300 {
		a.AddSample(sample(i, float64(i)/2))
	}
	w := a.Window(at(149.5 + 0.2))
	if got := numbers(w); len(got) != 240 || got[0] != 60 || got[239] != 299 || !increasing(got) {
		t.Fatalf("window holds %v", got)
	}
	if math.Abs(w.CurrentCoverage-1) > 1e-9 || !w.End.Equal(at(149.5)) || w.Input.SetPoint != 15_000 {
		t.Fatalf("coverage %v, end %v, set-point %v", w.CurrentCoverage, w.End, w.Input.SetPoint)
	}
}

func TestNothingIsInvented(t *testing.T) {
	w := New(model).Window(at(10))
	if w.CurrentCoverage != 0 || w.VideoCoverage != 0 || w.Evidence != nil {
		t.Fatalf("an empty aligner gave coverage %v and %v", w.CurrentCoverage, w.VideoCoverage)
	}
}

func TestJitterLosesAndRepeatsNothing(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	a := New(model)
	for i := range 400 {
		a.AddSample(sample(i, float64(i)/2+(random.Float64()-0.5)*0.2))
		if i < 300 {
			continue
		}
		got := numbers(a.Window(at(float64(i)/2 + 0.3)))
		if len(got) < 239 || !increasing(got) {
			t.Fatalf("poll %d: %d slots filled, want 239 at least, each sample once", i, len(got))
		}
	}
}

func TestDriftIsFollowed(t *testing.T) {
	a := New(model)
	const drift = 1 + 50e-6
	for i := range 40_000 { // five and a half hours: a second of drift
		a.AddSample(sample(i, float64(i)/2*drift))
	}
	last := 39_999.0 / 2 * drift
	if got := numbers(a.Window(at(last + 0.2))); len(got) != 240 {
		t.Fatalf("%d slots filled, want 240", len(got))
	}
}

func TestGapStaysAGap(t *testing.T) {
	a := New(model)
	for i := range 300 {
		if i < 200 || i >= 220 { // ten seconds without an answer
			a.AddSample(sample(i, float64(i)/2))
		}
	}
	w := a.Window(at(149.7))
	got := numbers(w)
	if len(got) != 220 || !increasing(got) {
		t.Fatalf("%d slots filled, want 220", len(got))
	}
	if want := 220.0 / 240; math.Abs(w.CurrentCoverage-want) > 1e-9 {
		t.Fatalf("coverage %v, want %v", w.CurrentCoverage, want)
	}
}

func TestFasterPollsAreThinned(t *testing.T) {
	a := New(model)
	for i := range 1300 {
		a.AddSample(sample(i, float64(i)/10))
	}
	got := numbers(a.Window(at(130.1)))
	if len(got) != 240 {
		t.Fatalf("%d slots filled, want 240", len(got))
	}
	for i := 1; i < len(got); i++ {
		if got[i]-got[i-1] != 5 {
			t.Fatalf("slots %d and %d hold polls %d and %d, want every fifth", i-1, i, got[i-1], got[i])
		}
	}
}

// Polls faster than the grid do not drag it along: the end of a window stays at its poll.
func TestFastPollsKeepTheGrid(t *testing.T) {
	for _, rate := range []float64{2, 5, 10, 20} {
		a := New(model)
		for i := range int(300 * rate) {
			a.AddSample(sample(i, float64(i)/rate))
			if now := at(float64(i)/rate + 0.01); i > 100 && i%int(rate) == 0 {
				if off := a.NearestEnd(now).Sub(at(float64(i) / rate)); off.Abs() > 30*time.Millisecond {
					t.Fatalf("%v Hz: the grid is %s off its poll", rate, off)
				}
			}
		}
	}
}

func TestSlowerPollsLeaveHoles(t *testing.T) {
	a := New(model)
	for i := range 150 {
		a.AddSample(sample(i, float64(i)))
	}
	if got := numbers(a.Window(at(149.2))); len(got) != 120 || !increasing(got) {
		t.Fatalf("%d slots filled, want 120, each sample once", len(got))
	}
}

func TestFramesFillTheSlotsOfTheirSeconds(t *testing.T) {
	a := New(model)
	for i := range 40 {
		a.AddFrame(EncodedFrame{Time: at(float64(i) + 0.3), Tokens: []float32{float32(i), 1}, Evidence: []float32{float32(i)}})
	}
	w := a.Window(at(39 + Settle.Seconds()))
	for slot := range model.Frames {
		if want := float32(24 + slot); w.Input.FrameMask[slot] != 1 || w.Input.Tokens[2*slot] != want {
			t.Fatalf("slot %d holds frame %v (mask %v), want %v", slot, w.Input.Tokens[2*slot], w.Input.FrameMask[slot], want)
		}
	}
	if w.VideoCoverage != 1 || w.Evidence[0] != 39 {
		t.Fatalf("coverage %v, evidence of frame %v", w.VideoCoverage, w.Evidence)
	}
}

func TestLostFrameIsMasked(t *testing.T) {
	a := New(model)
	for i := range 20 {
		if i != 10 {
			a.AddFrame(EncodedFrame{Time: at(float64(i)), Tokens: []float32{1, 1}})
		}
	}
	w := a.Window(at(19 + Settle.Seconds()))
	if w.Input.FrameMask[6] != 0 || w.Input.Tokens[12] != 0 || math.Abs(w.VideoCoverage-15.0/16) > 1e-9 {
		t.Fatalf("mask %v, coverage %v", w.Input.FrameMask, w.VideoCoverage)
	}
}

func TestRepeatedStampIsNotASecondSample(t *testing.T) {
	a := New(model)
	a.AddSample(sample(1, 1))
	a.AddSample(sample(2, 1))
	a.AddFrame(EncodedFrame{Time: at(1), Tokens: []float32{1, 1}})
	a.AddFrame(EncodedFrame{Time: at(1), Tokens: []float32{2, 2}})
	w := a.Window(at(1.2))
	if got := numbers(w); len(got) != 1 || got[0] != 1 || w.Input.Tokens[30] != 1 {
		t.Fatalf("samples %v, newest frame %v; want the first of each", got, w.Input.Tokens[30])
	}
}

func TestForgetEmptiesWhatWasBefore(t *testing.T) {
	a := New(model)
	for i := range 100 {
		a.AddSample(sample(i, float64(i)/2))
	}
	a.Forget(at(40))
	if got := numbers(a.Window(at(49.7))); len(got) != 20 || got[0] != 80 {
		t.Fatalf("window holds %v", got)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	a := New(model)
	for i := range 100_000 {
		a.AddSample(sample(i, float64(i)/1000))
		a.AddFrame(EncodedFrame{Time: at(float64(i) / 1000), Tokens: []float32{1, 1}})
	}
	if len(a.samples.values) > maxSamples*model.Samples || len(a.frames.values) > maxFrames*model.Frames {
		t.Fatalf("keeps %d samples and %d frames", len(a.samples.values), len(a.frames.values))
	}
}

func TestCVOfAKnownWave(t *testing.T) {
	a := New(model)
	for i := range 240 { // ±10 % square wave: the deviation is 10 % of the mean
		level := 15_000 * (1 + 0.1*float64(1-2*(i%2)))
		a.AddSample(drivers.Sample{Time: at(float64(i) / 2), Current: [3]float64{level, level, level}})
	}
	w := a.Window(at(119.5 + 0.2))
	for _, span := range []time.Duration{45 * time.Second, 120 * time.Second} {
		if cv, coverage := w.CV(span); math.Abs(cv-0.1) > 1e-6 || math.Abs(coverage-1) > 1e-9 {
			t.Errorf("CV over %s is %v with coverage %v, want 0.1 with 1", span, cv, coverage)
		}
	}
	if mean := w.LargestPhase(10 * time.Second); math.Abs(mean-15_000) > 1 {
		t.Errorf("mean current %v, want 15000", mean)
	}
}

func TestCVWithoutCurrentIsNaN(t *testing.T) {
	a := New(model)
	for i := range 240 {
		a.AddSample(drivers.Sample{Time: at(float64(i) / 2)})
	}
	if cv, _ := a.Window(at(119.7)).CV(120 * time.Second); !math.IsNaN(cv) {
		t.Fatalf("CV of 0 A is %v, want NaN", cv)
	}
	for i, sign := range []float64{1, -1, 1, -1} { // current of either sign counts
		a.AddSample(drivers.Sample{Time: at(1000 + float64(i)/2), Current: [drivers.Phases]float64{sign * 15_000}})
	}
	if mean := a.Window(at(1002)).LargestPhase(2 * time.Second); math.Abs(mean-15_000) > 1 {
		t.Errorf("a mean magnitude of %v", mean)
	}
	if mean := New(model).Window(at(1)).LargestPhase(10 * time.Second); !math.IsNaN(mean) {
		t.Fatalf("mean of nothing is %v", mean)
	}
}

// At any meter rate the samples cover the same time; the density shows their distance.
func TestSamplesCoverTheTimeBetweenThem(t *testing.T) {
	for name, c := range map[string]struct {
		every, from int // slots
		density     float64
		seconds     [2]float64
	}{
		"each":                              {1, 0, 1, [2]float64{120, 120}},
		"every second":                      {2, 0, 0.5, [2]float64{120, 120}},
		"every third":                       {3, 0, 1.0 / 3, [2]float64{120, 120}},
		"once in 3 s":                       {6, 0, 1.0 / 6, [2]float64{119.5, 120}},
		"once in 10 s":                      {20, 0, 1.0 / 20, [2]float64{20, 40}},
		"since half a minute":               {1, 180, 1, [2]float64{30, 30}},
		"since half a minute, every second": {2, 180, 0.5, [2]float64{29.5, 30}},
	} {
		t.Run(name, func(t *testing.T) {
			a := New(model)
			for i := c.from; i < 240; i += c.every {
				a.AddSample(drivers.Sample{Time: at(float64(i) / 2), Current: [3]float64{15_000, 15_000, 15_000}})
			}
			w := a.Window(at(119.7))
			if got := w.CurrentSpan.Seconds(); got < c.seconds[0] || got > c.seconds[1] {
				t.Errorf("samples cover %v s, want %v", got, c.seconds)
			}
			if math.Abs(w.CurrentDensity-c.density) > 0.02 {
				t.Errorf("density %v, want %v", w.CurrentDensity, c.density)
			}
		})
	}
}

// A meter that is read 100 times a second fills the whole window, from samples near the
// middle of their slots, and adding one allocates nothing once the memory has grown.
func TestQuickMeterFillsTheWindow(t *testing.T) {
	a := New(model)
	next := 0
	add := func() {
		a.AddSample(sample(next, float64(next)/100))
		next++
	}
	for next <= 20_000 {
		add()
	}
	w := a.Window(at(200.2))
	if math.Abs(w.CurrentCoverage-1) > 1e-9 {
		t.Fatalf("coverage %v", w.CurrentCoverage)
	}
	end := w.End.Sub(start).Seconds()
	for i, n := range numbers(w) {
		if slot := end - float64(239-i)/2; math.Abs(float64(n)/100-slot) > 0.0051 {
			t.Errorf("slot %d at %v s holds the sample of %v s", i, slot, float64(n)/100)
		}
	}
	for next <= 60_000 {
		add()
	}
	if allocations := testing.AllocsPerRun(50_000, add); allocations > 0 {
		t.Errorf("%v allocations a sample", allocations)
	}
}

// Whatever rates a manifest may name, a window can be built.
func TestRatesAtTheirBounds(t *testing.T) {
	for _, hertz := range []float64{0.001, 0.5, 1000} {
		a := New(GeometryOf(&inference.Manifest{
			Current: inference.CurrentSpec{RateHz: hertz, Samples: 4, Phases: 3},
			Video:   inference.VideoSpec{RateHz: hertz, Frames: 2, Tokens: 1, Dim: 1},
		}))
		for i := range 4 {
			a.AddSample(drivers.Sample{Time: at(float64(i) / hertz)})
			a.AddFrame(EncodedFrame{Time: at(float64(i) / hertz), Tokens: []float32{1}})
		}
		if w := a.Window(at(3 / hertz).Add(Settle)); w.CurrentCoverage != 1 || w.VideoCoverage != 1 {
			t.Errorf("%g Hz: coverage %v and %v", hertz, w.CurrentCoverage, w.VideoCoverage)
		}
	}
}

// A camera that gives one frame a second leaves the newest slot empty at half of all phases.
// That slot counts as missing only once its frame should have arrived.
func TestFrameThatIsNotDueIsNotMissing(t *testing.T) {
	const late = 2.0 // seconds of correction
	for _, c := range []struct {
		age, correction, coverage float64
	}{
		{0.6, 0, 1}, {1.1, 0, 1}, {1.2, 0, 15. / 16}, {2.2, 0, 14. / 16},
		{0.6, late, 1}, {1.2, late, 13. / 14}, {0.6, -late, 1},
	} {
		g := model
		g.MostCorrection = 5 * time.Second
		a := New(g)
		for i := range 120 {
			a.AddSample(sample(i, float64(i)/2))
		}
		end := 59.5
		for i := range 40 {
			a.AddFrame(EncodedFrame{Time: at(end - c.age - 39 + float64(i)), Tokens: []float32{float32(i), 1}})
		}
		a.Correct(time.Duration(c.correction * float64(time.Second)))
		if w := a.Window(at(now)); math.Abs(w.VideoCoverage-c.coverage) > 1e-9 {
			t.Errorf("newest frame %v s old, corrected by %v s: coverage %v, want %v", c.age, c.correction, w.VideoCoverage, c.coverage)
		}
	}
}
