package state

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

var (
	params = Params{MeanSeconds: 10, Enter: 0.6, Exit: 0.4, HoldSeconds: 10}
	begin  = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
)

// furnace feeds a machine one verdict a second.
type furnace struct {
	t       *testing.T
	machine *Machine
	now     time.Time
	last    Status
	changes []State
}

func newFurnace(t *testing.T) *furnace {
	return &furnace{t: t, machine: New(params), now: begin}
}

// warm returns a working furnace, both senses live and their windows full.
func warm(t *testing.T) *furnace {
	f := newFurnace(t)
	f.runs(15, f.sees(0.1))
	f.want(Normal)
	f.changes = nil
	return f
}

func (f *furnace) sees(p float64) Verdict {
	return Verdict{Source: Model, P: p, CurrentLive: true, VideoLive: true, Amperes: 15_000, SetPoint: 15_000, CurrentSeconds: 120, VideoFull: true}
}

func (f *furnace) runs(seconds int, v Verdict) {
	for range seconds {
		f.now = f.now.Add(time.Second)
		v.Time = f.now
		f.last = f.machine.Step(v)
		if f.last.Changed {
			f.changes = append(f.changes, f.last.State)
		}
	}
}

func (f *furnace) want(s State) {
	f.t.Helper()
	if f.last.State != s {
		f.t.Fatalf("after %s: state %s, want %s", f.now.Sub(begin), f.last.State, s)
	}
}

func (f *furnace) wantHeld(held bool) {
	f.t.Helper()
	if f.last.Held != held {
		f.t.Fatalf("held is %v, want %v", f.last.Held, held)
	}
}

func blind(v Verdict) Verdict {
	v.Source, v.CurrentLive, v.VideoLive, v.Amperes = None, false, false, math.NaN()
	return v
}

func tripped(v Verdict) Verdict {
	v.Amperes, v.P = 0, 1 // zero current has no variation
	return v
}

func TestOneOutlierHasNoEffect(t *testing.T) {
	f := warm(t)
	f.runs(3, f.sees(1))
	f.runs(20, f.sees(0.1))
	if len(f.changes) != 0 {
		t.Fatalf("changes %v, want none", f.changes)
	}
}

func TestLastingSignIsAbnormalUntilTheHoldEnds(t *testing.T) {
	f := warm(t)
	f.runs(10, f.sees(0.9))
	f.want(Abnormal)
	if !f.last.Since.After(begin.Add(15 * time.Second)) {
		t.Fatalf("since %s", f.last.Since)
	}
	f.runs(14, f.sees(0))
	f.want(Abnormal) // the mean is low, but not for long enough
	f.runs(5, f.sees(0))
	f.want(Normal)
}

func TestMeanBetweenTheThresholdsKeepsTheState(t *testing.T) {
	f := warm(t)
	f.runs(60, f.sees(0.5))
	f.want(Normal)
	f.runs(20, f.sees(0.9))
	f.runs(60, f.sees(0.5))
	f.want(Abnormal)
}

func TestIdleFurnaceIsOffAndNeverAbnormal(t *testing.T) {
	f := warm(t)
	f.runs(9, tripped(f.sees(1)))
	f.want(Normal)
	f.runs(1, tripped(f.sees(1)))
	f.want(Off)
	f.runs(600, tripped(f.sees(1)))
	f.want(Off)
}

func TestTripDuringAbnormalEndsInOff(t *testing.T) {
	f := warm(t)
	f.runs(20, f.sees(1))
	f.runs(10, tripped(f.sees(1)))
	f.want(Off)
}

func TestControllerThatClearsItsSetPointStillTripsToOff(t *testing.T) {
	f := warm(t)
	v := tripped(f.sees(1))
	v.SetPoint = 0
	f.runs(10, v)
	f.want(Off)
}

func TestRestartWarmsUpAnew(t *testing.T) {
	f := warm(t)
	f.runs(20, tripped(f.sees(1)))
	cold := f.sees(1)
	cold.CurrentSeconds, cold.VideoLive, cold.VideoFull = 2, false, false
	f.runs(1, cold)
	f.want(Warming)
	if !f.last.Restarted {
		t.Fatal("the restart was not announced")
	}
	f.runs(20, cold) // too little current for any verdict
	f.want(Warming)
	cold.CurrentSeconds = 60
	f.runs(10, cold)
	f.want(Abnormal) // from 30 s on verdicts count
}

func TestFirstVerdictsAreWarming(t *testing.T) {
	f := newFurnace(t)
	v := f.sees(0.1)
	for s := 1.0; s < 119; s++ {
		v.CurrentSeconds, v.VideoFull = s, s >= 16
		f.runs(1, v)
		f.want(Warming)
	}
	v.CurrentSeconds = 120
	f.runs(1, v)
	f.want(Normal)
}

func TestVideoAloneIsEnough(t *testing.T) {
	f := newFurnace(t)
	v := f.sees(0.1)
	v.CurrentLive, v.CurrentSeconds, v.Amperes = false, 0, math.NaN()
	f.runs(5, v)
	f.want(Normal)
	v.P = 0.9
	f.runs(10, v)
	f.want(Abnormal)
}

func TestNoSenseIsUnknown(t *testing.T) {
	f := warm(t)
	f.runs(1, blind(f.sees(0)))
	f.want(Unknown)
}

func TestAbnormalIsHeldWhileBlind(t *testing.T) {
	f := warm(t)
	f.runs(20, f.sees(1))
	f.wantHeld(false)
	f.runs(3600, blind(f.sees(0)))
	f.want(Abnormal)
	f.wantHeld(true)
	f.runs(25, f.sees(0))
	f.want(Normal)
}

func TestHeldEndsWhenALiveSenseConfirms(t *testing.T) {
	f := warm(t)
	f.runs(20, f.sees(1))
	f.runs(20, blind(f.sees(0)))
	f.runs(10, f.sees(1))
	f.want(Abnormal)
	f.wantHeld(false)
}

func TestRuleCannotEndAnAlarmOfTheModel(t *testing.T) {
	f := warm(t)
	f.runs(20, f.sees(1))
	rule := f.sees(0)
	rule.Source = Rule
	f.runs(600, rule)
	f.want(Abnormal)
	f.wantHeld(true)
	f.runs(30, f.sees(0))
	f.want(Normal)
}

func TestRuleEndsItsOwnAlarm(t *testing.T) {
	f := warm(t)
	rule := f.sees(1)
	rule.Source = Rule
	f.runs(20, rule)
	f.want(Abnormal)
	rule.P = 0
	f.runs(25, rule)
	f.want(Normal)
}

func TestAcknowledgeEndsAHeldAlarmOnly(t *testing.T) {
	f := warm(t)
	f.runs(20, f.sees(1))
	if f.machine.Acknowledge(f.now) {
		t.Fatal("a live alarm was acknowledged")
	}
	f.runs(5, blind(f.sees(0)))
	if !f.machine.Acknowledge(f.now) {
		t.Fatal("a held alarm could not be acknowledged")
	}
	f.runs(1, blind(f.sees(0)))
	f.want(Unknown)
}

func TestRestartedAgentHoldsARecentAlarm(t *testing.T) {
	// A negative age: the clock was not set yet when the agent restarted.
	for age, want := range map[time.Duration]State{9 * time.Minute: Abnormal, 11 * time.Minute: Unknown, -24 * time.Hour: Abnormal} {
		f := newFurnace(t)
		f.machine.Resume(Saved{State: Abnormal, Since: begin, Seen: begin, By: Model}, begin.Add(age))
		f.runs(5, blind(f.sees(0)))
		f.want(want)
		f.wantHeld(want == Abnormal)
	}
}

func TestRestartedAgentDoesNotHoldAnythingElse(t *testing.T) {
	f := newFurnace(t)
	f.machine.Resume(Saved{State: Normal, Since: begin, Seen: begin}, begin.Add(time.Minute))
	f.runs(1, blind(f.sees(0)))
	f.want(Unknown)
}

func TestNaNIsNotAVerdict(t *testing.T) {
	f := warm(t)
	f.runs(20, f.sees(1))
	f.runs(60, f.sees(math.NaN()))
	f.want(Abnormal)
	f.wantHeld(true)
}

// In any sequence: blind is never normal, idle is never abnormal, and abnormal never
// ends without a live sense.
func TestPromisesHoldForRandomLives(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 0))
		f := newFurnace(t)
		for range 200 {
			v := f.sees(random.Float64())
			if random.IntN(3) == 0 {
				v = blind(v)
			}
			if random.IntN(4) == 0 {
				v.Amperes = 0
			}
			v.Source = []Source{Model, Model, Rule, None}[random.IntN(4)]
			before := f.last.State
			f.runs(1+random.IntN(30), v)
			dead := !v.CurrentLive && !v.VideoLive
			switch {
			case dead && f.last.State != Abnormal && f.last.State != Unknown:
				t.Fatalf("seed %d: %s without a live sense", seed, f.last.State)
			case dead && before == Abnormal && f.last.State != Abnormal:
				t.Fatalf("seed %d: abnormal dropped while blind", seed)
			case f.last.State == Off && v.CurrentLive && v.Amperes > 0:
				t.Fatalf("seed %d: off at %g A", seed, v.Amperes)
			}
		}
	}
}
