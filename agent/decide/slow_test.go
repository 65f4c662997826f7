package decide

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"meltwatch/agent/state"
	"meltwatch/drivers"
)

var errModelAway = errors.New("the model is away")

// readEvery changes the meter's period.
func (p *plant) readEvery(period time.Duration, edit func(*drivers.Sample)) {
	p.do(func() { p.loop.Decider().current.setPeriod(period) })
	var last time.Time
	p.edit = func(s *drivers.Sample) bool {
		if s.Time.Sub(last) < period {
			return false
		}
		last = s.Time
		edit(s)
		return true
	}
}

// At any period, an idle furnace is off, a working one is not, and neither sense nor
// state changes from poll to poll.
func TestSlowMeterShowsOffAndDoesNotFlap(t *testing.T) {
	for _, period := range []time.Duration{time.Second, 3 * time.Second, 5 * time.Second, 10 * time.Second, time.Minute} {
		for camera, status := range map[string]drivers.Status{"camera": drivers.OK, "no camera": drivers.Absent} {
			t.Run(fmt.Sprint(period, " ", camera), func(t *testing.T) {
				operate(t, func(p *plant) {
					p.video.status = status
					p.readEvery(period, func(*drivers.Sample) {})
					p.sleep(10 * time.Minute)
					first := p.last()
					before := len(p.seconds)
					p.readEvery(period, func(s *drivers.Sample) { s.Current = [drivers.Phases]float64{} })
					p.sleep(5 * time.Minute)
					if s := p.last(); s.Status.State != state.Off || s.Current != drivers.OK {
						p.t.Fatalf("state %s, current %s with 0 A", s.Status.State, s.Current)
					}
					for i, s := range p.seconds[period/time.Second*2+200 : before] {
						if s.Current != drivers.OK || s.Status.State != first.Status.State {
							p.t.Fatalf("second %d: current %s, state %s after %s", i, s.Current, s.Status.State, first.Status.State)
						}
					}
				})
			})
		}
	}
}

// With a meter too slow for model and rule, the video alone decides.
func TestVideoDecidesWhereTheCurrentIsReadTooRarely(t *testing.T) {
	operate(t, func(p *plant) {
		p.readEvery(5*time.Second, func(*drivers.Sample) {})
		p.sleep(2 * time.Minute)
		p.want(state.Normal, state.Model)
		if s := p.last(); s.Counted.Current || !s.Counted.Video || s.CurrentCoverage != 0 {
			p.t.Fatalf("counted %+v with coverage %v", s.Counted, s.CurrentCoverage)
		}
		p.model.p = 0.9
		p.sleep(20 * time.Second)
		p.want(state.Abnormal, state.Model)
	})
	operate(t, func(p *plant) {
		p.video.status = drivers.Absent
		p.readEvery(5*time.Second, func(*drivers.Sample) {})
		p.sleep(5 * time.Minute)
		p.want(state.Unknown, state.None)
		if fault := p.last().Fault; fault == nil || !strings.Contains(fault.Error(), "between polls") {
			p.t.Fatalf("the reason is %v", fault)
		}
	})
}

// If polls are lost at random, the sense is stale every few seconds. This must not
// interrupt the mean over seconds, or an alarm would never be raised.
func TestLostPollsDoNotMakeTheStateFlap(t *testing.T) {
	for _, loss := range []float64{0.1, 0.3, 0.5} {
		t.Run(fmt.Sprint(loss), func(t *testing.T) {
			operate(t, func(p *plant) {
				random := rand.New(rand.NewPCG(7, 9))
				p.video.status = drivers.Absent
				p.edit = func(*drivers.Sample) bool { return random.Float64() >= loss }
				p.sleep(20 * time.Minute)
				changes := 0
				for _, s := range p.seconds {
					if s.Status.Changed {
						changes++
					}
				}
				if last := p.last(); last.Status.State != state.Normal || changes > 30 {
					p.t.Fatalf("state %s after %d changes", last.Status.State, changes)
				}
				p.noise, p.model.p = 100, 0.99
				p.sleep(170 * time.Second)
				if s := p.last(); s.Status.State != state.Abnormal {
					p.t.Fatalf("state %s by %s after 170 s of quiet current", s.Status.State, s.Verdict.Source)
				}
			})
		})
	}
}

// A stale current does not end an alarm.
func TestStaleCurrentEndsNoAlarm(t *testing.T) {
	operate(t, func(p *plant) {
		p.video.status = drivers.Absent
		p.sleep(130 * time.Second)
		p.model.p = 0.9
		p.sleep(10 * time.Second)
		p.want(state.Abnormal, state.Model)
		p.model.p = 0.01
		p.sleep(5 * time.Second)
		p.dead = true
		p.sleep(10 * time.Minute)
		if s := p.last(); s.Status.State != state.Abnormal || !s.Status.Held {
			p.t.Fatalf("state %s, held %v", s.Status.State, s.Status.Held)
		}
	})
}

// The variation of a phase without current is undefined, so the rule must not report
// normal.
func TestRuleIgnoresAPhaseWithoutCurrent(t *testing.T) {
	for name, rest := range map[string]float64{"0 A": 0, "negative": -20} {
		t.Run(name, func(t *testing.T) {
			operate(t, func(p *plant) {
				p.video.status, p.model.err = drivers.Absent, errModelAway
				p.edit = func(s *drivers.Sample) bool { s.Current[1] = rest; return true }
				p.sleep(5 * time.Minute)
				for i, s := range p.seconds {
					if s.Status.State == state.Normal || s.Verdict.Source == state.Rule {
						p.t.Fatalf("second %d: %s by %s", i, s.Status.State, s.Verdict.Source)
					}
				}
			})
		})
	}
}
