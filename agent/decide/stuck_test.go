package decide

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"meltwatch/agent/state"
	"meltwatch/drivers"
)

func TestOneStuckPhaseIsNamedWithinTwentySeconds(t *testing.T) {
	for phase, name := range []string{"a", "b", "c"} {
		for mode, edit := range map[string]func(*drivers.Sample, float64){
			"steps of 1 A":   func(s *drivers.Sample, held float64) { round(s, 1); s.Current[phase] = math.Round(held) },
			"steps of 100 A": func(s *drivers.Sample, held float64) { round(s, 100); s.Current[phase] = 100 * math.Round(held/100) },
			"float32":        func(s *drivers.Sample, held float64) { s.Current[phase] = held },
		} {
			t.Run(name+", "+mode, func(t *testing.T) {
				operate(t, func(p *plant) {
					p.edit = func(s *drivers.Sample) bool { edit(s, s.Current[phase]); return true }
					p.sleep(130 * time.Second)
					p.want(state.Normal, state.Model)
					if s := p.last(); s.Current != drivers.OK {
						p.t.Fatalf("current %s (%s) while all phases move", s.Current, s.CurrentCause)
					}
					p.edit = func(s *drivers.Sample) bool { edit(s, 14_321); return true }
					p.sleep(20 * time.Second)
					s := p.last()
					if s.Current != drivers.Frozen || !strings.Contains(s.CurrentCause, "phase "+name+" reads the same") {
						p.t.Fatalf("current %s, cause %q", s.Current, s.CurrentCause)
					}
				})
			})
		}
	}
}

func round(s *drivers.Sample, step float64) {
	for phase := range s.Current {
		s.Current[phase] = step * math.Round(s.Current[phase]/step)
	}
}

// Quiet current is the alarm: at any resolution, it must not count as a stuck register.
func TestQuietCurrentIsNeverStuck(t *testing.T) {
	for name, step := range map[string]float64{"1 A": 1, "10 A": 10, "20 A": 20, "50 A": 50, "100 A": 100, "1 kA": 1000} {
		t.Run(name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(uint64(step), 9))
			var r stuckReadings
			now := time.Now()
			var slow [drivers.Phases]float64
			for i := range 2 * 24 * 3600 { // a day at 2 Hz
				var s drivers.Sample
				s.Time = now.Add(time.Duration(i) * 500 * time.Millisecond)
				for phase := range s.Current {
					// A deviation of 0.5 % in all, most of it over ten seconds.
					slow[phase] += -slow[phase]/20 + 20*random.NormFloat64()
					s.Current[phase] = 15_000 + slow[phase] + 30*random.NormFloat64()
				}
				round(&s, step)
				r.sample(s)
				if cause := r.cause(0); cause != "" {
					t.Fatalf("after %s: %s", s.Time.Sub(now), cause)
				}
			}
		})
	}
}

// A raised electrode draws 0 A while the others burn.
func TestRaisedElectrodeIsNotStuck(t *testing.T) {
	operate(t, func(p *plant) {
		p.edit = func(s *drivers.Sample) bool { s.Current[1] = 0; return true }
		p.sleep(60 * time.Second)
		if s := p.last(); s.Current != drivers.OK {
			p.t.Fatalf("current %s: %s", s.Current, s.CurrentCause)
		}
	})
}

func TestStuckPhaseEndsNoAlarm(t *testing.T) {
	operate(t, func(p *plant) {
		p.sleep(130 * time.Second)
		p.model.p = 0.9
		p.sleep(10 * time.Second)
		p.want(state.Abnormal, state.Model)
		p.edit = func(s *drivers.Sample) bool { s.Current[2] = 15_001; return true }
		p.sleep(18 * time.Second)
		p.model.p = 0.1
		p.sleep(5 * time.Minute)
		if s := p.last(); s.Status.State != state.Abnormal || !s.Status.Held {
			p.t.Fatalf("state %s, held %v", s.Status.State, s.Status.Held)
		}
	})
}

// With a meter's offset, an idle furnace does not read 0 A.
func TestIdleFurnaceThatReadsItsMetersOffsetIsOff(t *testing.T) {
	for name, offset := range map[string][drivers.Phases]float64{"7 A": {7, 7, 7}, "negative": {-3.2, -3.2, 1}, "40 A": {40, 41, 0}} {
		t.Run(name, func(t *testing.T) {
			operate(t, func(p *plant) {
				p.model.p = 0.9
				p.sleep(130 * time.Second)
				p.want(state.Abnormal, state.Model)
				p.edit = func(s *drivers.Sample) bool { s.Current = offset; return true }
				p.sleep(10 * time.Minute)
				if s := p.last(); s.Status.State != state.Off || s.Current != drivers.OK {
					p.t.Fatalf("state %s, held %v, current %s: %s", s.Status.State, s.Status.Held, s.Current, s.CurrentCause)
				}
			})
		})
	}
	t.Run("raised electrode", func(t *testing.T) {
		operate(t, func(p *plant) {
			p.edit = func(s *drivers.Sample) bool { s.Current[1] = 3; return true }
			p.sleep(60 * time.Second)
			if s := p.last(); s.Current != drivers.OK {
				p.t.Fatalf("current %s: %s", s.Current, s.CurrentCause)
			}
		})
	})
}

// A meter with three digits has steps of 10 A below 10 kA, where a furnace starts, and
// of 100 A above.
func TestQuietCurrentOfAMeterWithFewDigitsIsNotStuck(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 9))
	var r stuckReadings
	now := time.Now()
	var slow [drivers.Phases]float64
	for i := range 2 * 24 * 3600 {
		s := drivers.Sample{Time: now.Add(time.Duration(i) * 500 * time.Millisecond)}
		level := min(float64(i)*20, 15_000)
		for phase := range s.Current {
			slow[phase] += -slow[phase]/20 + 20*random.NormFloat64()
			value := max(level+slow[phase]+30*random.NormFloat64(), 1)
			step := math.Pow(10, math.Floor(math.Log10(value))-2)
			s.Current[phase] = step * math.Round(value/step)
		}
		r.sample(s)
		if cause := r.cause(1500); cause != "" {
			t.Fatalf("after %s: %s", s.Time.Sub(now), cause)
		}
	}
}

// A lively current moves by hundreds of steps at a time. The resolution is found
// nevertheless, so a frozen meter is detected.
func TestMeterThatFreezesDuringLivelyCurrentIsStuck(t *testing.T) {
	for name, step := range map[string]float64{"1 A": 1, "float32": 0, "20000 A in 4096 steps": 20_000. / 4096, "10 A": 10} {
		t.Run(name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(5, uint64(step)))
			for trial := range 200 {
				var r stuckReadings
				now := time.Now()
				var s drivers.Sample
				for i := range 240 {
					s.Time = now.Add(time.Duration(i) * 500 * time.Millisecond)
					for phase := range s.Current {
						s.Current[phase] = float64(float32(15_000 + 1500*random.NormFloat64()))
						if step > 0 {
							s.Current[phase] = float64(float32(step * math.Round(s.Current[phase]/step)))
						}
					}
					r.sample(s)
				}
				for range 40 {
					s.Time = s.Time.Add(500 * time.Millisecond)
					r.sample(s)
				}
				if r.cause(0) != "phase abc reads the same for 15 s" {
					t.Fatalf("trial %d: %q, resolution %g A", trial, r.cause(0), r.step(0))
				}
			}
		})
	}
}

// Coarse registers with an offset, or with a step that is not a round number, do not
// count as fine.
func TestResolutionOfOddRegisters(t *testing.T) {
	random := rand.New(rand.NewPCG(6, 6))
	for _, c := range []struct{ step, offset float64 }{{48.828125, 0}, {100, 37}, {250, 3.5}, {1000, 0}, {33.333, 0.1}} {
		var r stuckReadings
		for i := range 400 {
			var s drivers.Sample
			s.Time = time.Unix(int64(i), 0)
			for phase := range s.Current {
				s.Current[phase] = float64(float32(c.offset + c.step*math.Round((15_000+1500*random.NormFloat64())/c.step)))
			}
			r.sample(s)
		}
		if got := r.step(0); math.Abs(got-c.step) > 0.05*c.step {
			t.Errorf("step %g, offset %g: resolution %g A", c.step, c.offset, got)
		}
	}
}
