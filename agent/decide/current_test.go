package decide

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"meltwatch/agent/state"
	"meltwatch/drivers"
	"meltwatch/inference"
)

const unavailable = "current_b: 0x8000 (int16) means not available"

// missing makes every nth sample invalid.
func missing(nth int) func(*drivers.Sample) bool {
	count := 0
	return func(s *drivers.Sample) bool {
		if count++; count%nth == 0 {
			s.Current, s.Missing = [drivers.Phases]float64{}, unavailable
		}
		return true
	}
}

func TestOneInvalidSampleIsMaskedAlone(t *testing.T) {
	operate(t, func(p *plant) {
		p.sleep(130 * time.Second)
		p.edit = missing(60) // twice a minute
		p.sleep(180 * time.Second)
		for i, s := range p.seconds[125:] {
			if s.Current != drivers.OK || s.Status.State != state.Normal || s.Verdict.Source != state.Model {
				p.t.Fatalf("second %d: current %s, state %s by %s", i, s.Current, s.Status.State, s.Verdict.Source)
			}
		}
		if last := p.last(); last.CurrentCoverage >= 1 || last.CurrentCoverage < 0.97 {
			p.t.Errorf("coverage %v: an invalid sample is in the window, or a valid one is masked", last.CurrentCoverage)
		}
		for _, w := range p.model.windows {
			for slot, filled := range w.SampleMask {
				if filled != 0 && w.Current[slot*drivers.Phases] == 0 {
					p.t.Fatal("the model was shown an invalid sample as 0 A")
				}
			}
		}
	})
}

func TestInvalidSamplesGiveTheSenseAStatusOfItsOwn(t *testing.T) {
	for name, c := range map[string]struct {
		nth           int
		after, within time.Duration
		cause         string
	}{
		"three in a row":       {1, 0, 3 * time.Second, "samples in a row"},
		"one in ten, 10 %":     {10, 0, 40 * time.Second, "samples in a minute"},
		"one in nineteen, 5 %": {19, 0, 61 * time.Second, "samples in a minute"},
	} {
		t.Run(name, func(t *testing.T) {
			operate(t, func(p *plant) {
				p.sleep(130 * time.Second)
				p.edit = missing(c.nth)
				p.sleep(c.within)
				if s := p.last(); s.Current != drivers.Invalid || !strings.Contains(s.CurrentCause, unavailable) || !strings.Contains(s.CurrentCause, c.cause) {
					p.t.Fatalf("current %s after %s, cause %q", s.Current, c.within, s.CurrentCause)
				}
				p.edit = nil
				p.sleep(70 * time.Second)
				if s := p.last(); s.Current != drivers.OK || s.CurrentCause != "" {
					p.t.Fatalf("current %s a minute after the last invalid sample, cause %q", s.Current, s.CurrentCause)
				}
			})
		})
	}
}

func TestInvalidCurrentEndsNoAlarm(t *testing.T) {
	for name, camera := range map[string]drivers.Status{"without a camera": drivers.Absent, "with one": drivers.OK} {
		t.Run("alarm "+name, func(t *testing.T) {
			operate(t, func(p *plant) {
				p.video.status = camera
				p.sleep(130 * time.Second)
				p.model.p = 0.9
				p.sleep(10 * time.Second)
				p.want(state.Abnormal, state.Model)
				p.edit, p.model.p = missing(1), 0.01
				p.sleep(20 * time.Minute)
				if s := p.last(); s.Status.State != state.Abnormal || !s.Status.Held {
					p.t.Fatalf("state %s, held %v with an invalid current", s.Status.State, s.Status.Held)
				}
			})
		})
	}
	t.Run("normal without a camera", func(t *testing.T) {
		operate(t, func(p *plant) {
			p.video.status = drivers.Absent
			p.sleep(130 * time.Second)
			p.want(state.Normal, state.Model)
			p.edit = missing(1)
			p.sleep(4 * time.Second)
			p.want(state.Unknown, state.None)
		})
	})
	t.Run("off", func(t *testing.T) {
		operate(t, func(p *plant) {
			p.sleep(130 * time.Second)
			p.amperes, p.video.status = 0, drivers.Absent
			p.sleep(30 * time.Second)
			p.want(state.Off, state.Model)
			p.edit = missing(1)
			p.sleep(4 * time.Second)
			p.want(state.Unknown, state.None)
		})
	})
}

// A furnace is off when no phase draws more than a tenth. The mean is below that even
// with one electrode burning.
func TestOffWantsEveryPhaseSmall(t *testing.T) {
	operate(t, func(p *plant) {
		p.sleep(130 * time.Second)
		p.edit = func(s *drivers.Sample) bool {
			s.Current = [drivers.Phases]float64{4_000 + s.Current[0]/100, 100, 100}
			return true
		}
		p.sleep(30 * time.Second)
		if s := p.last(); s.Status.State == state.Off {
			p.t.Fatal("off with 4 kA on one phase")
		}
	})
}

// keep drops the samples that a pattern excludes.
func keep(pattern func(i int) bool) func(*drivers.Sample) bool {
	i := 0
	return func(*drivers.Sample) bool { i++; return pattern(i) }
}

// trusting is a model that mistakes missing samples for quiet current.
func trusting(w inference.Window) inference.Outputs {
	first, filled := -1, 0
	for slot, mask := range w.SampleMask {
		if mask != 0 {
			if first < 0 {
				first = slot
			}
			filled++
		}
	}
	p := float32(0.1)
	if filled > 8 && float64(filled) < 0.6*float64(len(w.SampleMask)-first) {
		p = 0.99
	}
	return inference.Outputs{inference.PAbnormal: {p}}
}

func TestFewerSamplesThanTheModelWasTestedWithRaiseNoAlarm(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 3))
	for name, c := range map[string]struct {
		keep   func(i int) bool
		byRule bool // the sense stays live
	}{
		"every second":   {func(i int) bool { return i%2 == 0 }, true},
		"two in a row":   {func(i int) bool { return i%4 < 2 }, true},
		"every third":    {func(i int) bool { return i%3 == 0 }, false},
		"one in six":     {func(i int) bool { return i%6 == 0 }, false},
		"half in bursts": {func(i int) bool { return i%12 < 6 }, false},
		"half at random": {func(int) bool { return random.Float64() < 0.5 }, false},
	} {
		for camera, status := range map[string]drivers.Status{"camera": drivers.OK, "no camera": drivers.Absent} {
			t.Run(name+", "+camera, func(t *testing.T) {
				operate(t, func(p *plant) {
					p.edit, p.model.more, p.video.status = keep(c.keep), trusting, status
					p.sleep(600 * time.Second)
					last := p.last()
					rule := 0
					for _, s := range p.seconds {
						if s.Status.State == state.Abnormal {
							p.t.Fatalf("an alarm by %s, current %s with coverage %.2f", s.Verdict.Source, s.Current, s.CurrentCoverage)
						}
						if s.Verdict.Source == state.Rule {
							rule++
						}
					}
					if c.byRule && rule < 400 || rule == 0 && status == drivers.Absent {
						p.t.Fatalf("the rule decided %d seconds, the last: %s, %v", rule, last.Verdict.Source, last.Fault)
					}
					if c.byRule && (last.Fault == nil || !strings.Contains(last.Fault.Error(), "missing; the model was tested")) {
						p.t.Fatalf("the reason is %v", last.Fault)
					}
				})
			})
		}
	}
}

func TestRuleFindsQuietCurrentReadAtHalfTheRate(t *testing.T) {
	operate(t, func(p *plant) {
		p.edit = keep(func(i int) bool { return i%2 == 0 })
		p.sleep(180 * time.Second)
		p.want(state.Normal, state.Rule)
		p.noise = 100
		p.sleep(150 * time.Second)
		p.want(state.Abnormal, state.Rule)
	})
}

// The rule applies unless the model names the meter's rate.
func TestRateThatTheModelNamesIsTheModels(t *testing.T) {
	for name, c := range map[string]struct {
		sampling *inference.Sampling
		source   state.Source
	}{
		"not named": {nil, state.Rule},
		"named":     {&inference.Sampling{RatesHz: []float64{1, 2}, Coverage: 0.7}, state.Model},
	} {
		t.Run(name, func(t *testing.T) {
			m := manifest()
			m.Sampling = c.sampling
			operateWith(t, m, func(p *plant) {
				p.do(func() { p.loop.Decider().current.setPeriod(time.Second) })
				p.edit = keep(func(i int) bool { return i%2 == 0 })
				p.sleep(180 * time.Second)
				p.want(state.Normal, c.source)
			})
		})
	}
}

// After an outage of the meter, the model decides from the samples since.
func TestOutageOfTheMeterDoesNotCountAsSparseSampling(t *testing.T) {
	operate(t, func(p *plant) {
		p.sleep(130 * time.Second)
		p.dead = true
		p.sleep(60 * time.Second)
		p.dead = false
		p.sleep(5 * time.Second)
		before := len(p.seconds)
		p.sleep(40 * time.Second)
		p.last()
		for _, s := range p.seconds[before:] {
			if s.Verdict.Source != state.Model {
				p.t.Fatalf("decided by %s: %v", s.Verdict.Source, s.Fault)
			}
		}
		if s := p.last(); s.CurrentCoverage > 0.4 {
			p.t.Errorf("coverage %v: samples from before the outage still count", s.CurrentCoverage)
		}
	})
}

// Without a camera, nothing but samples and the seconds wakes the loop while the meter answers, and
// its failure is still told as soon as it is one.
func TestMeterThatFallsSilentIsToldAtOnceWithoutACamera(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := senses{period: 500 * time.Millisecond}
		r := &recording{}
		v := &counted{relay: relay{r: r, every: time.Second, absent: true}}
		var stale time.Time
		loop := NewLoop(deciderFor(s, newCounting(r)), v, func(d Decision) {
			if d.Current == drivers.Stale && stale.IsZero() {
				stale = time.Now()
			}
		})
		ctx, cancel := context.WithTimeout(t.Context(), 70*time.Second)
		defer cancel()
		var running sync.WaitGroup
		running.Go(func() { _ = loop.Run(ctx) })
		metered, stop := context.WithTimeout(ctx, time.Minute)
		defer stop()
		s.meter(metered, r, loop)
		asked := v.asked.Load()
		last := r.samples[len(r.samples)-1].value.Time
		running.Wait()
		if late := stale.Sub(last.Add(1250 * time.Millisecond)); late < 0 || late > 10*time.Millisecond {
			t.Errorf("the current is stale %s after its limit", late)
		}
		// Each sample and each second ask for the video a few times.
		if most := int64(60 * 10); asked > most {
			t.Errorf("the loop has asked for the video %d times in a minute, want %d at most", asked, most)
		}
	})
}

// counted is a relay that counts how often it is asked.
type counted struct {
	relay
	asked atomic.Int64
}

func (v *counted) Newest() (drivers.Frame, drivers.Status) {
	v.asked.Add(1)
	return v.relay.Newest()
}
