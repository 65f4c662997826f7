package align

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"meltwatch/inference"
)

// offsetCases is testdata/offset_cases.json, which the trainer writes
// (inference/train/tests/offset_cases.py) and its own tests read too.
type offsetCases struct {
	Offset inference.Offset
	Cases  []struct {
		Name       string
		Losses     [][]float64 // by window and shift, in thousandths
		Confidence []float64   // after each window
		Known      []bool
		Seconds    []*float64 // nil while unknown
		Windows    []*int
	}
}

func readOffsetCases(t *testing.T) (c offsetCases) {
	t.Helper()
	data, err := os.ReadFile("testdata/offset_cases.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// The features, the probability and the choice of the pool are the trainer's: the same
// curves give the same estimate after each window.
func TestConfidenceIsTheTrainers(t *testing.T) {
	all := readOffsetCases(t)
	if len(all.Cases) < 5 {
		t.Fatalf("%d cases", len(all.Cases))
	}
	for _, c := range all.Cases {
		t.Run(c.Name, func(t *testing.T) {
			m := late(1)
			m.Offset = &all.Offset
			o := NewOffset(m)
			for i, thousandths := range c.Losses {
				loss := make([]float32, len(thousandths))
				for k, l := range thousandths {
					loss[k] = float32(l / 1000)
				}
				o.Observe(eventWindow(float64(i), 0, jump), loss)
				e, known := o.Estimate()
				if math.Abs(e.Confidence-c.Confidence[i]) > 1e-6 || known != c.Known[i] {
					t.Fatalf("window %d: confidence %v, known %v; the trainer's %v, %v", i, e.Confidence, known, c.Confidence[i], c.Known[i])
				}
				if known && (math.Abs(e.Seconds-*c.Seconds[i]) > 1e-6 || e.Windows != *c.Windows[i]) {
					t.Fatalf("window %d: %+v; the trainer's %v s from %d windows", i, e, *c.Seconds[i], *c.Windows[i])
				}
			}
		})
	}
}

// confident is a model whose confidence is that of the cases, from 24 windows on.
func confident(t *testing.T, pool int) *inference.Manifest {
	m, c := late(pool), *readOffsetCases(t).Offset.Confidence
	c.MinWindows = 24
	m.Offset.Confidence = &c
	return m
}

// noisy returns windows late by lateness seconds, with noise on their curves.
func noisy(m *inference.Manifest, seed uint64, lateness, deep, size float64) func(int) []float32 {
	random := rand.New(rand.NewPCG(seed, seed))
	return func(int) []float32 {
		return valley(m, lateness, 0, deep, func() float64 { return size * random.NormFloat64() })
	}
}

func TestAnEstimateComesAsSoonAsItIsKnown(t *testing.T) {
	for _, lateness := range []float64{-3, -1.7, -0.25, 0, 0.6, 2.2, 3} {
		m := confident(t, 480)
		curve := noisy(m, 1, lateness, 1, 0.5)
		o := NewOffset(m)
		first := 0
		for i := range 480 {
			o.Observe(eventWindow(float64(i), 0, jump), curve(i))
			e, known := o.Estimate()
			if known && first == 0 {
				first = i + 1
			}
			if known && math.Abs(e.Seconds-lateness) > 0.5 {
				t.Fatalf("late by %v s: %+v after %d windows", lateness, e, i+1)
			}
		}
		if e, known := o.Estimate(); !known || first < 24 || first > 120 || e.Windows != 480 || e.Confidence < 0.9 || math.Abs(e.Seconds-lateness) > 0.2 {
			t.Errorf("late by %v s: first known after %d windows; in the end %+v, known %v", lateness, first, e, known)
		}
	}
}

// The confidence is told while it is too little for an estimate, and nothing is corrected.
func TestWhatShowsNothingIsNeverKnown(t *testing.T) {
	m := confident(t, 240)
	for name, curve := range map[string]func(int) []float32{
		"flat":                   func(int) []float32 { return make([]float32, 21) },
		"flat but for rounding":  func(int) []float32 { return valley(m, 1, 0, 1e-7, silent) },
		"falling over the edge":  func(int) []float32 { return valley(m, 7, 0, 1, silent) },
		"rising from the edge":   func(int) []float32 { return valley(m, -7, 0, 1, silent) },
		"least at the very edge": func(int) []float32 { return valley(m, 5, 0, 1, silent) },
		"two minima in turn":     func(i int) []float32 { return valley(m, float64(i%2)*4-2, 0, 1, silent) },
		"not a number":           func(int) []float32 { return valley(m, 1, 0, 1, func() float64 { return math.NaN() }) },
		"infinite":               func(int) []float32 { return valley(m, 1, 0, 1, func() float64 { return math.Inf(1) }) },
	} {
		o := NewOffset(m)
		for i := range 300 {
			o.Observe(eventWindow(float64(i), 0, jump), curve(i))
			if e, known := o.Estimate(); known || o.Correction() != 0 || !(e.Confidence >= 0 && e.Confidence < 0.9) {
				t.Fatalf("%s: %+v, known %v, corrected by %s", name, e, known, o.Correction())
			}
		}
	}
}

func TestNoiseIsRarelyKnown(t *testing.T) {
	known := 0
	m := confident(t, 120)
	for seed := range uint64(30) {
		o := NewOffset(m)
		curve := noisy(m, seed, 0, 0, 1)
		for i := range 120 {
			o.Observe(eventWindow(float64(i), 0, jump), curve(i))
			if _, ok := o.Estimate(); ok {
				known++
			}
		}
	}
	if known > 36 { // of 3,600 windows
		t.Errorf("%d of 3600 windows of noise had a known offset", known)
	}
}

// A camera's delay changes while it runs: the old windows must not hold the estimate.
func TestAnEstimateIsWithdrawnWhenTheDelayChanges(t *testing.T) {
	m := confident(t, 480)
	before, after := noisy(m, 1, 2, 1, 0.5), noisy(m, 2, -1, 1, 0.5)
	o := NewOffset(m)
	at := 0
	observe := func(curve func(int) []float32) (Estimate, bool) {
		o.Observe(eventWindow(float64(at), 0, jump), curve(at))
		at++
		return o.Estimate()
	}
	for range 480 {
		observe(before)
	}
	if e, known := o.Estimate(); !known || math.Abs(e.Seconds-2) > 0.2 {
		t.Fatalf("before the change: %+v, known %v", e, known)
	}
	withdrawn, found := 0, 0
	for i := 1; i <= 480; i++ {
		e, known := observe(after)
		switch {
		case !known && withdrawn == 0:
			withdrawn = i
		case known && math.Abs(e.Seconds+1) < 0.5 && found == 0:
			found = i
		case known && found > 0 && math.Abs(e.Seconds+1) > 0.5:
			t.Fatalf("%d windows after the change, %d after the new delay was found: %+v", i, i-found, e)
		}
	}
	if found == 0 || found > 240 {
		t.Fatalf("the new delay was found after %d windows, the old one withdrawn after %d", found, withdrawn)
	}
	if e, known := o.Estimate(); !known || math.Abs(e.Seconds+1) > 0.2 || e.Windows != 480 {
		t.Fatalf("in the end %+v, known %v", e, known)
	}
}

// What was seen before a long quiet time, or a long failure of a sense or the model, says
// little about a delay of now.
func TestOldWindowsAreDropped(t *testing.T) {
	m := confident(t, 480)
	later := float64(100 + (maxAge+time.Minute)/time.Second)
	var o *Offset
	for name, pass := range map[string]func(){
		"windows without an event": func() { o.Observe(eventWindow(later, 0, 100), valley(m, 2, 0, 1, silent)) },
		"no windows":               func() { o.DropOld(at(later)) },
	} {
		o = observed(m, 100, noisy(m, 1, 2, 1, 0.2))
		if _, known := o.Estimate(); !known {
			t.Fatal("nothing known after 100 windows")
		}
		correction := o.Correction()
		pass()
		if e, known := o.Estimate(); known || e.Confidence != 0 || o.Correction() != correction {
			t.Fatalf("%s: %+v, known %v, correction %s of %s", name, e, known, o.Correction(), correction)
		}
	}
	o.Observe(eventWindow(later+1, 0, jump), valley(m, 2, 0, 1, silent))
	if e, known := o.Estimate(); known || e.Windows > 1 {
		t.Fatalf("known from one window: %+v", e)
	}
}

func TestTheCorrectionFollowsOnlyWhatIsKnown(t *testing.T) {
	m := confident(t, 480)
	curve := noisy(m, 3, 3, 1, 0.5)
	o := NewOffset(m)
	for i := range 1500 {
		before := o.Correction()
		o.Observe(eventWindow(float64(i), 0, jump), curve(i))
		step := o.Correction() - before
		if _, known := o.Estimate(); !known && step != 0 || step.Abs() > seconds(0.2)/60 {
			t.Fatalf("window %d: known %v, moved by %s", i, known, step)
		}
	}
	if c := o.Correction().Seconds(); math.Abs(c-3) > 0.15 {
		t.Fatalf("corrected by %v s of 3", c)
	}
	o.Restart()
	if e, known := o.Estimate(); known || e != (Estimate{}) {
		t.Fatalf("after a restart %+v, known %v", e, known)
	}
}

// Shifts so few that all are near give no second lateness to compare with.
func TestShiftsThatAreAllNearAreNeverKnown(t *testing.T) {
	m := confident(t, 60)
	m.Offset.ShiftsS, m.Offset.ProminenceS = []float64{-0.5, -0.25, 0, 0.25, 0.5}, 0
	o := observed(m, 60, func(int) []float32 { return []float32{1, 0.5, 0, 0.5, 1} })
	if e, known := o.Estimate(); known || e.Confidence != 0 {
		t.Fatalf("%+v, known %v", e, known)
	}
}
