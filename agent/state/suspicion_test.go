package state

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// suspecting are parameters with a shorter mean and lower thresholds for a suspicion.
var suspecting = Params{
	MeanSeconds: 30, Enter: 0.9, Exit: 0.6, HoldSeconds: 10,
	Suspect: Suspect{MeanSeconds: 10, Enter: 0.5, Exit: 0.3, HoldSeconds: 5},
}

// suspected returns a working furnace whose suspicion has just begun.
func suspected(t *testing.T) *furnace {
	f := suspicious(t)
	for range 10 {
		f.runs(1, f.sees(0.55))
		if f.last.Level == LevelSuspected {
			return f
		}
	}
	t.Fatal("never suspected")
	return f
}

// suspicious returns a working furnace that may be suspected.
func suspicious(t *testing.T) *furnace {
	f := newFurnace(t)
	f.machine = New(suspecting)
	f.runs(35, f.sees(0.1))
	f.want(Normal)
	f.wantLevel(LevelNone)
	return f
}

func (f *furnace) wantLevel(l Level) {
	f.t.Helper()
	if f.last.Level != l {
		f.t.Fatalf("after %s: level %s (%s), want %s", f.now.Sub(begin), f.last.Level, f.last.State, l)
	}
}

func (f *furnace) wantSuspicionHeld(held bool) {
	f.t.Helper()
	f.wantLevel(LevelSuspected)
	if f.last.Suspicion.Held != held {
		f.t.Fatalf("suspicion held is %v, want %v", f.last.Suspicion.Held, held)
	}
}

func noModel(v Verdict) Verdict {
	v.Source = None
	return v
}

func byRule(v Verdict) Verdict {
	v.Source = Rule
	return v
}

// impossible is a current with values that a furnace cannot have, beside a working video.
func impossible(v Verdict) Verdict {
	v.CurrentLive, v.CurrentInvalid, v.Amperes = false, true, math.NaN()
	return v
}

func TestSuspicionBeginsAndEnds(t *testing.T) {
	f := suspected(t)
	f.want(Normal)
	if s := f.last.Suspicion; !s.Since.Equal(f.now) || !strings.Contains(s.Cause, "over 0.500") || !s.Filtered {
		t.Errorf("began as %+v", s)
	}
	since := f.last.Suspicion.Since
	f.runs(60, f.sees(0.4)) // between the thresholds
	f.wantSuspicionHeld(false)
	if s := f.last.Suspicion; !s.Since.Equal(since) || s.Cause != "" {
		t.Errorf("went on as %+v", s)
	}
	f.runs(6, f.sees(0)) // the mean has been under the threshold for 4 s
	f.wantLevel(LevelSuspected)
	f.runs(1, f.sees(0))
	f.wantLevel(LevelNone)
	if cause := f.last.Suspicion.Cause; !strings.Contains(cause, "under 0.300 for 5 s") {
		t.Errorf("ended by %q", cause)
	}
}

func TestOutlierIsNotSuspected(t *testing.T) {
	f := suspicious(t)
	f.runs(3, f.sees(1))
	f.wantLevel(LevelNone)
	f.runs(20, f.sees(0.1))
	f.wantLevel(LevelNone)
}

// A suspicion lasts for hours without evidence of a sound furnace, until the model ends it.
func TestSuspicionIsHeld(t *testing.T) {
	for name, without := range map[string]func(Verdict) Verdict{
		"no sense is live":       blind,
		"the model is gone":      noModel,
		"the rule decides":       byRule,
		"the current is invalid": impossible,
		"p is not a number": func(v Verdict) Verdict {
			v.P = math.NaN()
			return v
		},
		"p is out of bounds": func(v Verdict) Verdict {
			v.P = -0.5
			return v
		},
		"too little is measured": func(v Verdict) Verdict {
			v.CurrentSeconds, v.VideoFull = 5, false
			return v
		},
		"one sense fails, then the other": func(v Verdict) Verdict {
			v.CurrentLive, v.Amperes = false, math.NaN()
			return blind(v)
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := suspected(t)
			for range 7200 {
				f.runs(1, without(f.sees(0)))
				f.wantSuspicionHeld(true)
			}
			f.runs(20, f.sees(0))
			f.wantLevel(LevelNone)
		})
	}
}

func TestHeldSuspicionIsConfirmedByALiveSense(t *testing.T) {
	f := suspected(t)
	f.runs(20, blind(f.sees(0)))
	f.wantSuspicionHeld(true)
	f.runs(12, f.sees(0.4))
	f.wantSuspicionHeld(true) // between the thresholds nothing is certain
	f.runs(12, f.sees(0.6))
	f.wantSuspicionHeld(false)
}

func TestAlarmTakesTheSuspicionsPlace(t *testing.T) {
	f := suspected(t)
	f.runs(40, f.sees(1))
	f.want(Abnormal)
	f.wantLevel(LevelAlarm)
	if f.last.Suspicion.On {
		t.Error("a suspicion stands beside the alarm")
	}
	f.runs(60, f.sees(0))
	f.wantLevel(LevelNone)
}

func TestEndOfTheSuspicionByAnAlarmHasACause(t *testing.T) {
	f := suspected(t)
	for f.last.State != Abnormal {
		f.runs(1, f.sees(1))
	}
	if cause := f.last.Suspicion.Cause; !strings.Contains(cause, "alarm takes its place") {
		t.Errorf("cause %q", cause)
	}
}

// A held alarm is an alarm in every state of the senses.
func TestHeldAlarmIsNoSuspicion(t *testing.T) {
	f := suspicious(t)
	f.runs(60, f.sees(1))
	f.runs(600, blind(f.sees(0)))
	f.wantLevel(LevelAlarm)
	f.wantHeld(true)
}

func TestAcknowledgeEndsAHeldSuspicionOnly(t *testing.T) {
	f := suspected(t)
	if f.machine.Acknowledge(f.now) {
		t.Fatal("a live suspicion was acknowledged")
	}
	f.runs(5, blind(f.sees(0)))
	if !f.machine.Acknowledge(f.now) {
		t.Fatal("a held suspicion could not be acknowledged")
	}
	f.runs(1, blind(f.sees(0)))
	f.wantLevel(LevelNone)
	if cause := f.last.Suspicion.Cause; cause != acknowledged {
		t.Errorf("cause %q", cause)
	}
	if f.machine.Acknowledge(f.now) {
		t.Fatal("acknowledged twice")
	}
	f.runs(10, f.sees(0.55))
	f.wantLevel(LevelSuspected) // the next one is new
}

func TestAcknowledgedAlarmNamesItsCause(t *testing.T) {
	f := warm(t)
	f.runs(20, f.sees(1))
	f.runs(5, blind(f.sees(0)))
	f.machine.Acknowledge(f.now)
	f.runs(1, blind(f.sees(0)))
	if f.last.Cause != acknowledged || f.last.Level != LevelNone {
		t.Errorf("after the acknowledgement: %+v", f.last)
	}
	f.runs(1, blind(f.sees(0)))
	if f.last.Cause != "" {
		t.Errorf("the cause stays: %q", f.last.Cause)
	}
}

func TestRestartedAgentHoldsARecentSuspicion(t *testing.T) {
	for age, want := range map[time.Duration]Level{9 * time.Minute: LevelSuspected, 11 * time.Minute: LevelNone, -24 * time.Hour: LevelSuspected} {
		before := suspected(t)
		saved := before.machine.Save(before.now)
		f := newFurnace(t)
		f.machine = New(suspecting)
		f.machine.Resume(saved, before.now.Add(age))
		f.runs(5, blind(f.sees(0)))
		f.wantLevel(want)
		if want == LevelSuspected {
			f.wantSuspicionHeld(true)
			if !f.last.Suspicion.Since.Equal(saved.Suspected) {
				t.Errorf("since %s, want %s", f.last.Suspicion.Since, saved.Suspected)
			}
		}
		f.runs(30, f.sees(0.1))
		f.wantLevel(LevelNone)
	}
}

// The clock runs on while the agent is down, and is read by the file alone.
func TestSuspicionSurvivesARestartByTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := suspected(t)
		saved := f.machine.Save(time.Now())
		time.Sleep(9 * time.Minute)
		again := New(suspecting)
		again.Resume(saved, time.Now())
		if level := again.Step(blind(f.sees(0))).Level; level != LevelSuspected {
			t.Errorf("level %s after nine minutes", level)
		}
		time.Sleep(2 * time.Minute)
		late := New(suspecting)
		late.Resume(saved, time.Now())
		if level := late.Step(blind(f.sees(0))).Level; level != LevelNone {
			t.Errorf("level %s after eleven minutes", level)
		}
	})
}

func TestIdleFurnaceIsNotSuspected(t *testing.T) {
	f := suspected(t)
	f.runs(9, tripped(f.sees(1)))
	f.wantLevel(LevelSuspected)
	f.runs(1, tripped(f.sees(1)))
	f.want(Off)
	f.wantLevel(LevelNone)
	f.runs(600, tripped(f.sees(1)))
	f.wantLevel(LevelNone)
}

// The rule knows abnormal or not, which is an alarm or nothing.
func TestRuleRaisesNoSuspicion(t *testing.T) {
	f := suspicious(t)
	for range 29 {
		f.runs(1, byRule(f.sees(1)))
		if f.last.Suspicion.On {
			t.Fatal("suspected by the rule")
		}
	}
}

func TestModelWithoutThresholdsNeverSuspects(t *testing.T) {
	f := warm(t)
	f.runs(600, f.sees(0.5))
	f.wantLevel(LevelNone)
	if f.last.Suspicion.Filtered {
		t.Error("a mean is published that nothing is compared with")
	}
}

// A model of an older release takes over: it could never end the suspicion.
func TestSuspicionEndsWithItsThresholds(t *testing.T) {
	f := suspected(t)
	f.machine.SetParams(params)
	f.runs(1, f.sees(0.55))
	f.wantLevel(LevelNone)
	if !strings.Contains(f.last.Suspicion.Cause, "no thresholds") {
		t.Errorf("cause %q", f.last.Suspicion.Cause)
	}
}

func TestExitAboveEnterDoesNotFlapTheSuspicion(t *testing.T) {
	p := suspecting
	p.Suspect = Suspect{MeanSeconds: 5, Enter: 0.5, Exit: 0.7, HoldSeconds: 5}
	f := suspicious(t)
	f.machine.SetParams(p)
	for range 600 {
		f.runs(1, f.sees(0.6))
	}
	f.wantLevel(LevelSuspected)
}

// In any sequence: the level is alarm exactly while the state is abnormal; a suspicion
// ends only by the model's verdict under its threshold, by an alarm, by an operator or by a
// furnace that stands still; and never by a second without evidence.
func TestLevelKeepsItsPromisesForRandomLives(t *testing.T) {
	began, ended := 0, 0
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 1))
		f := newFurnace(t)
		f.machine = New(suspecting)
		for range 150 {
			v := f.sees(math.Sqrt(random.Float64()) * random.Float64() * 1.2)
			v.Source = []Source{Model, Model, Model, Rule, None}[random.IntN(5)]
			switch random.IntN(8) {
			case 0:
				v = blind(v)
			case 1:
				v = impossible(v)
			case 2:
				v.P = []float64{math.NaN(), -1, 2, math.Inf(1)}[random.IntN(4)]
			case 3:
				v.Amperes = 0
			}
			for range 1 + random.IntN(25) {
				before := f.last
				operated := random.IntN(200) == 0 && f.machine.Acknowledge(f.now)
				if operated && !before.Held && !before.Suspicion.Held {
					t.Fatalf("seed %d: what was not held was acknowledged", seed)
				}
				f.runs(1, v)
				if (f.last.Level == LevelAlarm) != (f.last.State == Abnormal) {
					t.Fatalf("seed %d: level %s in state %s", seed, f.last.Level, f.last.State)
				}
				if f.last.Suspicion.Held && f.last.Level != LevelSuspected {
					t.Fatalf("seed %d: level %s while a suspicion is held", seed, f.last.Level)
				}
				if before.Level != LevelSuspected && f.last.Level == LevelSuspected {
					began++
				}
				if before.Level != LevelSuspected || f.last.Level != LevelNone {
					continue
				}
				ended++
				seen := v.Source == Model && f.last.Suspicion.Filtered && f.last.Suspicion.P < suspecting.Suspect.Exit && !v.CurrentInvalid
				if !operated && !seen && f.last.State != Off {
					t.Fatalf("seed %d: suspicion dropped by %+v: %+v", seed, v, f.last)
				}
				if f.last.Suspicion.Cause == "" {
					t.Fatalf("seed %d: a suspicion ended without a cause", seed)
				}
			}
		}
	}
	if began < 100 || ended < 50 {
		t.Errorf("only %d suspicions began and %d ended", began, ended)
	}
}
