package decide

import (
	"math"
	"testing"
	"time"

	"meltwatch/agent/state"
	"meltwatch/inference"
)

// freezing is a manifest whose background one sense alone freezes for a minute at most.
func freezing() *inference.Manifest {
	m := manifest()
	m.Decision.FreezeAlone, m.Decision.FreezeAloneSeconds = 0.7, 60
	return m
}

// senses makes the model give these probabilities for each sense alone.
func (p *plant) senses(current, video float32) {
	p.model.more = func(inference.Window) inference.Outputs {
		return inference.Outputs{inference.PCurrent: {current}, inference.PVideo: {video}}
	}
}

// moves is by how many updates the background moves in a time.
func (p *plant) moves(d time.Duration) int {
	p.t.Helper()
	background := func() float32 { return p.model.frames[len(p.model.frames)-1].Background[0] }
	// The frame of the first second was encoded before the model's new answer.
	p.sleep(2500 * time.Millisecond)
	before := background()
	p.sleep(d)
	return int(background() - before)
}

func TestBackgroundStandsStillWhileOneSenseAloneIsSuspicious(t *testing.T) {
	for name, c := range map[string]struct {
		manifest       *inference.Manifest
		current, video float32
		stands         bool
	}{
		"video":                  {freezing(), 0.1, 0.8, true},
		"current":                {freezing(), 0.8, 0.1, true},
		"video, current missing": {freezing(), inference.Missing, 0.8, true},
		"neither":                {freezing(), 0.6, 0.6, false},
		"a model without the key, which only p_abnormal freezes": {manifest(), 0.9, 0.9, false},
	} {
		t.Run(name, func(t *testing.T) {
			operateWith(t, c.manifest, func(p *plant) {
				p.sleep(130 * time.Second)
				p.senses(c.current, c.video)
				if n := p.moves(30 * time.Second); (n == 0) != c.stands {
					t.Errorf("the background moved %d times in 30 s", n)
				}
				p.want(state.Normal, state.Model)
			})
		})
	}
}

func TestALastingReflectionIsAbsorbed(t *testing.T) {
	operateWith(t, freezing(), func(p *plant) {
		p.sleep(130 * time.Second)
		p.senses(0.1, 0.8)
		p.sleep(65 * time.Second)
		if n := p.moves(600 * time.Second); n < 590 {
			t.Errorf("the background moved %d times in 600 s: one sense alone froze it for longer than a minute", n)
		}
		// A suspicion that comes and goes freezes it for half of the time at most.
		moved := 0
		for range 20 {
			p.senses(0.1, 0.1)
			moved += p.moves(10 * time.Second)
			p.senses(0.1, 0.8)
			moved += p.moves(10 * time.Second)
		}
		if moved < 200 {
			t.Errorf("the background moved %d times in 500 s with a suspicion that comes and goes", moved)
		}
		// A calm minute arms it again.
		p.senses(0.1, 0.1)
		p.sleep(65 * time.Second)
		p.senses(0.1, 0.8)
		if n := p.moves(30 * time.Second); n != 0 {
			t.Errorf("the background moved %d times after a calm minute", n)
		}
	})
}

func TestAnAlarmFreezesTheBackgroundLongerThanOneSenseMay(t *testing.T) {
	operateWith(t, freezing(), func(p *plant) {
		p.sleep(130 * time.Second)
		p.senses(0.1, 0.8)
		p.model.p = 0.9
		if n := p.moves(300 * time.Second); n != 0 {
			t.Errorf("the background moved %d times during an alarm", n)
		}
		p.want(state.Abnormal, state.Model)
		p.senses(0.1, 0.1)
		p.model.p = 0.1
		p.sleep(30 * time.Second)
		p.want(state.Normal, state.Model)
		if n := p.moves(30 * time.Second); n < 29 {
			t.Errorf("the background moved %d times in 30 s after the alarm", n)
		}
		// The alarm's own seconds do not count towards the bound.
		p.senses(0.1, 0.8)
		if n := p.moves(40 * time.Second); n != 0 {
			t.Errorf("the background moved %d times: the alarm has spent the bound", n)
		}
	})
}

func TestSensesAloneAreKnownOnlyWhereTheyCount(t *testing.T) {
	operateWith(t, freezing(), func(p *plant) {
		known := func(current, video float64) {
			p.t.Helper()
			s := p.last()
			if !same(s.PCurrent, current) || !same(s.PVideo, video) {
				p.t.Errorf("current alone %v, video alone %v; want %v and %v", s.PCurrent, s.PVideo, current, video)
			}
		}
		p.sleep(130 * time.Second)
		known(math.NaN(), math.NaN()) // the model has no such outputs
		p.senses(0.25, 0.75)
		p.sleep(2 * time.Second)
		known(0.25, 0.75)
		p.senses(inference.Missing, 0.75)
		p.sleep(2 * time.Second)
		known(math.NaN(), 0.75)
		// A stuck register is hidden from the model, whatever it answers.
		p.senses(0.9, 0.75)
		p.stuck = true
		p.sleep(20 * time.Second)
		known(math.NaN(), 0.75)
	})
}

func same(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }
