package state

import (
	"math"
	"testing"
	"time"
)

func TestSecondsWithoutAVerdictEndNormalAndOff(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Verdict)
		within int
	}{
		"the model is gone, the rule has no current": {func(v *Verdict) { v.CurrentLive, v.Amperes = false, math.NaN() }, 10},
		"the current is invalid":                     {func(v *Verdict) { v.CurrentLive, v.CurrentInvalid, v.Amperes = false, true, math.NaN() }, 10},
	} {
		t.Run(name, func(t *testing.T) {
			f := warm(t)
			v := f.sees(0)
			v.Source = None
			c.change(&v)
			f.runs(c.within-1, v)
			f.want(Normal)
			f.runs(1, v)
			f.want(Unknown)
			f.runs(600, v)
			f.want(Unknown)
			f.runs(15, f.sees(0.1))
			f.want(Normal)
		})
	}
}

func TestOffEndsAtOnceIfTheCurrentIsInvalid(t *testing.T) {
	f := warm(t)
	idle := f.sees(0)
	idle.Amperes = 0
	f.runs(15, idle)
	f.want(Off)
	v := f.sees(0)
	v.Source, v.CurrentLive, v.CurrentInvalid, v.Amperes = None, false, true, math.NaN()
	f.runs(1, v)
	f.want(Unknown)
}

func TestInvalidCurrentHoldsAnAlarm(t *testing.T) {
	f := warm(t)
	f.runs(30, f.sees(0.99))
	f.want(Abnormal)
	v := f.sees(0.01) // from the video alone
	v.CurrentLive, v.CurrentInvalid, v.Amperes = false, true, math.NaN()
	f.runs(3600, v)
	f.want(Abnormal)
	f.wantHeld(true)
	f.runs(60, f.sees(0.01))
	f.want(Normal)
}

// Swapped thresholds, which an older release accepted, must not make the state change
// every few seconds.
func TestExitAboveEnterDoesNotFlap(t *testing.T) {
	f := warm(t)
	f.machine.SetParams(Params{MeanSeconds: 5, Enter: 0.6, Exit: 0.669, HoldSeconds: 10})
	f.runs(1800, f.sees(0.62))
	f.want(Abnormal)
	if len(f.changes) != 1 {
		t.Fatalf("%d changes of state in 30 min at p 0.62: %v", len(f.changes), f.changes)
	}
}

// A set-point marked as invalid must neither make a working furnace off nor an idle one
// abnormal.
func TestSetPointFarFromTheNormalCurrentIsIgnored(t *testing.T) {
	for name, c := range map[string]struct {
		setPoint, amperes float64
		want              State
	}{
		"huge, working": {900_000, 15_000, Normal},
		"huge, idle":    {900_000, 100, Off},
		"tiny, idle":    {1, 100, Off},
		"tiny, working": {1, 15_000, Normal},
		"lower":         {6_000, 1_000, Normal},
	} {
		t.Run(name, func(t *testing.T) {
			p := params
			p.NormalCurrent = 15_000
			f := newFurnace(t)
			f.machine = New(p)
			v := f.sees(0.1)
			v.SetPoint, v.Amperes = c.setPoint, c.amperes
			f.runs(60, v)
			f.want(c.want)
		})
	}
}

// The agent restarts while the furnace is idle and its controller has cleared the
// set-point.
func TestRestartedAgentKnowsTheLastSetPoint(t *testing.T) {
	before := warm(t)
	before.runs(20, tripped(before.sees(1)))
	before.want(Off)
	saved := before.machine.Save(before.now)
	f := newFurnace(t)
	f.machine.Resume(saved, f.now.Add(time.Hour))
	v := tripped(f.sees(1))
	v.SetPoint, v.Amperes = 0, 100
	f.runs(30, v)
	f.want(Off)
}

// The furnace's normal current is unknown, but 0 A is off.
func TestZeroCurrentIsOffAtAnyLevel(t *testing.T) {
	f := newFurnace(t)
	v := tripped(f.sees(1))
	v.SetPoint = 0
	f.runs(30, v)
	f.want(Off)
}

// A live sense without a valid sample for a second or two does not end off.
func TestMaskedSamplesDoNotEndOff(t *testing.T) {
	f := warm(t)
	f.runs(20, tripped(f.sees(1)))
	v := tripped(f.sees(1))
	v.Amperes = math.NaN()
	f.changes = nil
	for range 20 {
		f.runs(1, v)
		f.runs(3, tripped(f.sees(1)))
	}
	if len(f.changes) != 0 {
		t.Fatalf("changes %v", f.changes)
	}
}

// After a gap the mean is incomplete. A furnace that is abnormal in each second does
// not become normal before the mean is complete.
func TestSecondsOverTheThresholdAreNotNormal(t *testing.T) {
	f := warm(t)
	f.runs(5, blind(f.sees(0)))
	f.want(Unknown)
	f.changes = nil
	f.runs(20, f.sees(0.99))
	if len(f.changes) != 1 || f.last.State != Abnormal {
		t.Fatalf("changes %v, want abnormal alone", f.changes)
	}
}

// A set-point above those of known furnaces is accepted only after the current has come
// near it: a corrupt one would make a working furnace off.
func TestLargeSetPointIsAcceptedOnceTheCurrentAgrees(t *testing.T) {
	f := newFurnace(t)
	v := f.sees(0.1)
	v.SetPoint = 180_000
	f.runs(60, v)
	f.want(Normal)
	large := newFurnace(t)
	v = large.sees(0.1)
	v.SetPoint, v.Amperes = 80_000, 75_000
	large.runs(60, v)
	large.want(Normal)
	v.Amperes = 5_000
	large.runs(15, v)
	large.want(Off)
}
