package furnace

import (
	"math"
	"testing"

	"meltwatch/simulator/house/housetest"

	"github.com/google/go-cmp/cmp"
)

// record collects the states of a scenario, one a second.
func record(s Scenario, seed uint64) []State {
	f := New(s, NewBatch(seed, seed), seed, seed)
	var list []State
	for t := 0.0; t < s.Seconds(); t++ {
		list = append(list, f.AdvanceTo(t))
	}
	return list
}

func TestTheSameSeedGivesTheSameFurnace(t *testing.T) {
	a := record(Draw(Mixed, 900, 4, 4, 4), 4)
	if diff := cmp.Diff(a, record(Draw(Mixed, 900, 4, 4, 4), 4)); diff != "" {
		t.Error(diff)
	}
	if cmp.Equal(a, record(Draw(Mixed, 900, 5, 5, 5), 5)) {
		t.Error("another seed gives the same record")
	}
}

func TestAnotherCurrentLeavesTruthAndPictureEventsAlone(t *testing.T) {
	run := func(electric uint64) (truths []Truth, current float32, hidden int) {
		f := New(Draw(Mixed, 1800, 7, electric, 7), NewBatch(7, electric), electric, 7)
		for at := 0.0; at < 1800; at++ {
			s := f.AdvanceTo(at)
			k := s.Truth
			// What an extinction or a slip calls itself belongs to the current.
			if k.State == Extinction || k.State == Slip || k.State == Feeding || k.State == Exhaust {
				k.State = Normal
			}
			k.NearNormal, k.Kind = false, ""
			truths = append(truths, k)
			current += s.PLC.Current[0]
		}
		return truths, current, hidden
	}
	a, ia, _ := run(1)
	b, ib, _ := run(2)
	if diff := cmp.Diff(a, b); diff != "" {
		t.Error(diff)
	}
	if ia == ib {
		t.Error("the current is the same under another seed")
	}
}

func TestTheDemoRunsThroughItsStates(t *testing.T) {
	list := record(Demo(), 1)
	for _, c := range []struct {
		fact   string
		second int
		state  Name
		label  Label
	}{
		{"feeding is normal", 40, Feeding, SoundShell},
		{"normal work is scored 0", 70, Normal, SoundShell},
		{"the start of the ramp is not scored", 160, Ramp, NotScored},
		{"the end of the ramp is abnormal", 265, Ramp, BurningOver},
		{"abnormal is scored 1", 300, Abnormal, BurningOver},
		{"recovery is not scored", 370, Recovery, NotScored},
		{"normal again", 500, Normal, SoundShell},
	} {
		k := list[c.second].Truth
		if k.State != c.state || k.Label != c.label {
			t.Errorf("%s: second %d is %s, label %d", c.fact, c.second, k.State, k.Label)
		}
	}
	if onset := list[300].Truth.Onset; onset != 150 {
		t.Errorf("onset is %v s, want 150", onset)
	}
}

func TestAbnormalCurrentGoesQuietAndReturns(t *testing.T) {
	list := record(Demo(), 3)
	cv := func(from, to int) float64 {
		var x [3][]float64
		for _, s := range list[from:to] {
			for p := range x {
				x[p] = append(x[p], float64(s.PLC.Current[p]))
			}
		}
		return housetest.Variation(x, to-from)[0]
	}
	normal, quiet, after := cv(30, 150), cv(250, 360), cv(470, 590)
	if quiet > 0.04 || quiet > normal/2.5 || after < 2*quiet {
		t.Errorf("CV is %.3f before, %.3f in the abnormal stretch, %.3f after", normal, quiet, after)
	}
}

func TestTheHotSpotGrowsFixedInPlaceAndCools(t *testing.T) {
	list := record(Demo(), 1)
	if s := list[100].Picture.Spot; s.Shine != 0 {
		t.Errorf("a sound shell glows: %+v", s)
	}
	faint, grown, cooled := list[215].Picture.Spot, list[350].Picture.Spot, list[445].Picture.Spot
	if !(faint.Area < grown.Area && cooled.Area < grown.Area && faint.Shine < grown.Shine && cooled.Shine < grown.Shine) {
		t.Errorf("spot: %+v, then %+v, then %+v", faint, grown, cooled)
	}
	if faint.Seed != grown.Seed {
		t.Error("the spot changes its shape within an episode")
	}
	if s := list[460].Picture.Spot; s.Shine != 0 {
		t.Errorf("the spot outlasts recovery: %+v", s)
	}
}

func TestTheFlameFollowsTheCurrentsChange(t *testing.T) {
	var flame, change []float64
	seed := uint64(2)
	f := New(Draw(NormalLife, 1800, seed, seed, seed), NewBatch(seed, seed), seed, seed)
	var before PLC
	for at := 0.0; at < 1800; at += Period {
		s := f.AdvanceTo(at + Period - Tick) // what the value did until the next one
		var d float64
		for p := range s.PLC.Current {
			d += math.Abs(float64(s.PLC.Current[p] - before.Current[p]))
		}
		before = s.PLC
		flame, change = append(flame, s.Picture.Flame), append(change, d)
	}
	mf, sf := spread(flame)
	mc, sc := spread(change)
	var c float64
	for i := range flame {
		c += (flame[i] - mf) * (change[i] - mc) / sf / sc / float64(len(flame))
	}
	if c < 0.3 {
		t.Errorf("correlation of flame and |change of current| is %.2f, want at least 0.3", c)
	}
}

func TestMixedLifeIsBalancedAndItsBlindStretchesAreIndependent(t *testing.T) {
	var scored, abnormal, near, hidden, both float64
	for seed := range uint64(40) {
		for _, s := range record(Draw(Mixed, 3600, seed, seed, seed), seed) {
			switch s.Truth.Label {
			case SoundShell:
				scored++
			case BurningOver:
				scored++
				abnormal++
				if s.Truth.NearNormal {
					near++
				}
				if s.Truth.Hidden {
					hidden++
				}
				if s.Truth.NearNormal && s.Truth.Hidden {
					both++
				}
			}
		}
	}
	if share := abnormal / scored; share < 0.43 || share > 0.52 {
		t.Errorf("abnormal share of scored seconds is %.3f", share)
	}
	if share := near / abnormal; share < 0.05 || share > 0.12 {
		t.Errorf("near-normal share of abnormal seconds is %.3f", share)
	}
	if share := hidden / abnormal; share < 0.05 || share > 0.10 {
		t.Errorf("hidden share of abnormal seconds is %.3f", share)
	}
	// Phi coefficient of the two.
	a, b := near/abnormal, hidden/abnormal
	if phi := (both/abnormal - a*b) / math.Sqrt(a*(1-a)*b*(1-b)); math.Abs(phi) > 0.05 {
		t.Errorf("near-normal and hidden stretches correlate by %.3f", phi)
	}
}

func TestEveryStateYieldsFiniteBoundedValues(t *testing.T) {
	s := Scenario{Seed: 9}
	for _, n := range names {
		s.Segments = append(s.Segments, Segment{State: n, Seconds: 60, Current: DropOuts})
	}
	for i, c := range causes {
		for k := range 6 {
			s.Nuisances = append(s.Nuisances, Nuisance{Cause: c, At: float64(100*k + 3*i), Seconds: 20, Strength: 1})
		}
	}
	for _, at := range record(s, 9) {
		for p, v := range at.PLC.Current {
			if !(v >= 0 && v <= FullScale) {
				t.Fatalf("%v s, %s: phase %d carries %v A", at.Time, at.Truth.State, p, v)
			}
		}
		p := at.Picture
		for _, v := range []float64{p.Flame, p.Mist, p.Gain[0], p.Gain[1], p.Gain[2], p.Spot.Area, p.Spot.Shine} {
			if math.IsNaN(v) || v < 0 || v > 20 {
				t.Fatalf("%v s, %s: picture %+v", at.Time, at.Truth.State, p)
			}
		}
		if at.Truth.State == Off && at.PLC.Current[0] > 0.1*nominal {
			t.Fatalf("current flows while off: %v", at.PLC.Current)
		}
	}
}

func BenchmarkSecond(b *testing.B) {
	f := New(Draw(Mixed, 1e6, 1, 1, 1), NewBatch(1, 1), 1, 1)
	at := 0.0
	for b.Loop() {
		at++
		f.AdvanceTo(at)
	}
}

func spread(x []float64) (mean, std float64) {
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		std += (v - mean) * (v - mean)
	}
	return mean, math.Sqrt(std / float64(len(x)))
}
