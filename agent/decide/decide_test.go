package decide

import (
	"errors"
	"math"
	"testing"
	"time"

	"meltwatch/agent/state"
	"meltwatch/drivers"
)

func TestOneVerdictASecondRightAfterItsSample(t *testing.T) {
	operate(t, func(p *plant) {
		p.sleep(200 * time.Second)
		if n := len(p.seconds); n < 198 || n > 203 {
			t.Fatalf("%d verdicts in 200 s", n)
		}
		p.want(state.Normal, state.Model)
		last := p.last()
		if last.CurrentCoverage < 0.999 || last.VideoCoverage != 1 {
			t.Fatalf("coverage %v and %v, want both 1", last.CurrentCoverage, last.VideoCoverage)
		}
		if mask := p.model.windows[len(p.model.windows)-1].SampleMask; mask[239] != 1 {
			t.Fatal("the newest slot is empty")
		}
		if last.Alignment != 0.5 || len(last.Evidence) != 4 {
			t.Fatalf("alignment %v, evidence %v", last.Alignment, last.Evidence)
		}
	})
}

func TestModelDecidesAbnormal(t *testing.T) {
	operate(t, func(p *plant) {
		p.sleep(130 * time.Second)
		p.model.p = 0.9
		p.sleep(7 * time.Second)
		p.want(state.Abnormal, state.Model)
	})
}

func TestRuleReplacesASilentModelWithinTwoSeconds(t *testing.T) {
	operate(t, func(p *plant) {
		p.sleep(130 * time.Second)
		p.model.stalls = true
		p.sleep(2 * time.Second)
		p.want(state.Normal, state.Rule)
		before := len(p.seconds)
		p.sleep(10 * time.Second)
		p.last()
		if n := len(p.seconds) - before; n < 9 || n > 11 {
			t.Fatalf("%d verdicts in 10 s without a model", n)
		}
		p.model.stalls = false
		p.sleep(2 * time.Second)
		p.want(state.Normal, state.Model)
	})
}

func TestRuleFindsQuietCurrent(t *testing.T) {
	operate(t, func(p *plant) {
		p.model.err = errors.New("model is broken")
		p.sleep(130 * time.Second)
		p.want(state.Normal, state.Rule)
		p.noise = 100
		p.sleep(60 * time.Second)
		p.want(state.Abnormal, state.Rule)
		if !p.last().Weak {
			t.Fatal("45 s of quiet current count as much as 120 s")
		}
		p.sleep(80 * time.Second)
		p.want(state.Abnormal, state.Rule)
		if p.last().Weak {
			t.Fatal("120 s of quiet current count as weak")
		}
	})
}

func TestFailedSenseIsReportedBeforeTheNextSecond(t *testing.T) {
	operate(t, func(p *plant) {
		p.sleep(130 * time.Second)
		p.video.status = drivers.Frozen
		p.sleep(150 * time.Millisecond)
		if got := p.last().Video; got != drivers.Frozen {
			t.Errorf("video %s 150 ms after it froze", got)
		}
		p.dead = true
		p.sleep(3 * 500 * time.Millisecond)
		if got := p.last().Current; got != drivers.Stale {
			t.Errorf("current %s three periods after its last sample", got)
		}
	})
}

func TestDeadMeterLeavesVideo(t *testing.T) {
	operate(t, func(p *plant) {
		p.sleep(130 * time.Second)
		p.dead = true
		p.sleep(3 * time.Second)
		if s := p.last(); s.Current != drivers.Stale || s.Status.State != state.Normal {
			t.Fatalf("current %s, state %s", s.Current, s.Status.State)
		}
		p.sleep(40 * time.Second)
		if s := p.last(); s.Current != drivers.Absent || s.Verdict.Source != state.Model {
			t.Fatalf("current %s, source %s", s.Current, s.Verdict.Source)
		}
	})
}

func TestStuckRegisterIsHiddenFromTheModel(t *testing.T) {
	operate(t, func(p *plant) {
		p.sleep(130 * time.Second)
		p.stuck = true
		p.sleep(20 * time.Second)
		s := p.last()
		if s.Current != drivers.Frozen || s.CurrentCoverage != 0 {
			t.Fatalf("current %s with coverage %v", s.Current, s.CurrentCoverage)
		}
		if mask := p.model.windows[len(p.model.windows)-1].SampleMask; mask[239] != 0 {
			t.Fatal("the model was shown a stuck register")
		}
	})
}

func TestIdleFurnaceIsOffAndItsRestartWarmsUp(t *testing.T) {
	operate(t, func(p *plant) {
		p.sleep(130 * time.Second)
		p.amperes = 0
		p.model.p = 1
		p.sleep(60 * time.Second)
		p.want(state.Off, state.Model)
		p.amperes, p.model.p, p.video.status = 15_000, 0.1, drivers.Absent
		p.sleep(20 * time.Second)
		s := p.last()
		if s.Status.State != state.Warming || s.CurrentCoverage > 0.2 {
			t.Fatalf("state %s with coverage %v: samples of the idle time count", s.Status.State, s.CurrentCoverage)
		}
		p.sleep(110 * time.Second)
		p.want(state.Normal, state.Model)
	})
}

func TestBothSensesDeadHoldAnAlarm(t *testing.T) {
	operate(t, func(p *plant) {
		p.sleep(130 * time.Second)
		p.model.p = 0.9
		p.sleep(10 * time.Second)
		p.dead, p.video.status = true, drivers.Absent
		p.sleep(300 * time.Second)
		if s := p.last(); s.Status.State != state.Abnormal || !s.Status.Held {
			t.Fatalf("state %s, held %v", s.Status.State, s.Status.Held)
		}
	})
}

func TestBackgroundStandsStillWhileAbnormal(t *testing.T) {
	operate(t, func(p *plant) {
		p.sleep(40 * time.Second)
		p.model.p = 0.9
		p.sleep(2 * time.Second)
		frozen := p.model.frames[len(p.model.frames)-1].Background[0]
		p.sleep(10 * time.Second)
		p.last()
		if now := p.model.frames[len(p.model.frames)-1].Background[0]; now != frozen {
			t.Fatalf("background moved from %v to %v", frozen, now)
		}
	})
}

func TestWithoutASenseTheStateIsUnknown(t *testing.T) {
	operate(t, func(p *plant) {
		p.dead, p.video.status = true, drivers.Absent
		p.sleep(10 * time.Second)
		p.want(state.Unknown, state.None)
		if !math.IsNaN(p.last().Alignment) {
			t.Fatal("an alignment without a sense")
		}
	})
}
