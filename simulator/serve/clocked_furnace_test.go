package serve

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"meltwatch/simulator/furnace"
)

func demoFurnace() *clockedFurnace {
	return newClockedFurnace(furnace.New(furnace.Demo(), furnace.NewBatch(1, 1), 1, 1), time.Time{})
}

func TestADelayedSenseSeesTheFurnaceAsItWas(t *testing.T) {
	m := demoFurnace()
	early := m.atElapsed(7*time.Second, 0)
	if early.Time != 7 {
		t.Errorf("after 7 s the furnace stands at %v", early.Time)
	}
	if diff := cmp.Diff(early, m.atElapsed(9500*time.Millisecond, 2500*time.Millisecond)); diff != "" {
		t.Errorf("2.5 s later, seen 2.5 s late:\n%s", diff)
	}
}

func TestBeforeItsDelayHasPassedASenseSeesTheStart(t *testing.T) {
	if s := demoFurnace().atElapsed(time.Second, 3*time.Second); s.Time != 0 {
		t.Errorf("furnace stands at %v, want the start", s.Time)
	}
}

func TestALookAfterALongSilenceKeepsTheLongestDelay(t *testing.T) {
	m := demoFurnace()
	if s := m.atElapsed(2*time.Minute, longestDelay); s.Time != 110 {
		t.Errorf("furnace stands at %v, want 110", s.Time)
	}
}

func TestTheLastStateGoesOn(t *testing.T) {
	for last, want := range map[furnace.Name]furnace.Name{
		furnace.Normal:   furnace.Normal,
		furnace.Startup:  furnace.Normal,
		furnace.Ramp:     furnace.Abnormal,
		furnace.Abnormal: furnace.Abnormal,
		furnace.Recovery: furnace.Normal,
		furnace.Trip:     furnace.Off,
	} {
		scenario := furnace.Scenario{Segments: []furnace.Segment{{State: furnace.Normal, Seconds: 5}, {State: last, Seconds: 5}}}
		f := furnace.New(endless(scenario), furnace.NewBatch(1, 1), 1, 1)
		if got := f.AdvanceTo(600).Truth.State; got != want {
			t.Errorf("long after %s the furnace is %s, want %s", last, got, want)
		}
		if len(scenario.Segments) != 2 {
			t.Errorf("%s: the caller's scenario was changed", last)
		}
	}
}
