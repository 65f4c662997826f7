package decide

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"meltwatch/agent/state"
	"meltwatch/drivers"
	"meltwatch/inference"
)

// knowing is a manifest whose video counts as unfamiliar when the mean of 3 min has stayed
// under 0.204 for 4 min more, and whose current has no levels.
func knowing() *inference.Manifest {
	m := manifest()
	m.Familiarity = &inference.Familiarity{Video: &inference.FamiliarityLevels{MeanMinutes: 3, Level: 0.204, HoldMinutes: 4}}
	return m
}

// likeness makes the model tell these familiarities of each sense.
func (p *plant) likeness(current, video float32) {
	p.model.more = func(inference.Window) inference.Outputs {
		return inference.Outputs{inference.FamiliarityCurrent: {current}, inference.FamiliarityVideo: {video}}
	}
}

// unfamiliarAfter is how long it takes until the video counts as unfamiliar, or no longer
// does; at most an hour.
func (p *plant) unfamiliarAfter(want bool) time.Duration {
	p.t.Helper()
	began := time.Now()
	for time.Since(began) < time.Hour {
		if f := p.last().FamiliarityVideo; f != nil && f.Unfamiliar == want {
			return time.Since(began)
		}
		p.sleep(time.Second)
	}
	p.t.Fatalf("the video does not become unfamiliar %v in an hour", want)
	return 0
}

func TestAPictureThatTheModelHasNotLearnt(t *testing.T) {
	operateWith(t, knowing(), func(p *plant) {
		p.likeness(0.1, 0.9)
		p.sleep(10 * time.Minute)
		s := p.last()
		if s.FamiliarityVideo.Unfamiliar || math.Abs(s.FamiliarityVideo.Mean-0.9) > 1e-6 || math.Abs(s.FamiliarityVideo.Score-0.9) > 1e-6 {
			t.Errorf("video %+v", *s.FamiliarityVideo)
		}
		if c := s.FamiliarityCurrent; c.Unfamiliar || !math.IsNaN(c.Mean) || math.Abs(c.Score-0.1) > 1e-6 {
			t.Errorf("current %+v: it has no levels", *c)
		}
		// The mean of 3 min passes 0.2 in the third minute, and must stay there for four more.
		p.likeness(0.1, 0.203)
		if took := p.unfamiliarAfter(true); took < 6*time.Minute || took > 8*time.Minute {
			t.Errorf("unfamiliar after %s", took)
		}
		if cause := p.last().FamiliarityVideo.Cause; !strings.Contains(cause, "familiarity 0.2030, mean of 3 min, is under 0.204; ") || !strings.Contains(cause, "recorder.enabled") || !strings.Contains(cause, "docs/own-data.md") {
			t.Errorf("cause %q", cause)
		}
		// A good minute, after which the mean is above the level for three or four, does not
		// end it; a lasting change does.
		p.likeness(0.1, 0.9)
		p.sleep(time.Minute)
		p.likeness(0.1, 0)
		above := false
		for range 15 * 60 {
			p.sleep(time.Second)
			s := p.last()
			above = above || s.FamiliarityVideo.Mean > 0.25
			if !s.FamiliarityVideo.Unfamiliar {
				t.Fatal("a minute ended it")
			}
		}
		if !above {
			t.Error("the minute is not in the mean")
		}
		p.likeness(0.1, 0.9)
		if took := p.unfamiliarAfter(false); took < 4*time.Minute || took > 6*time.Minute {
			t.Errorf("familiar again after %s", took)
		}
		if cause := p.last().FamiliarityVideo.Cause; !strings.Contains(cause, "is 0.204 or more again") {
			t.Errorf("cause %q", cause)
		}
	})
}

// Neither a sense's failure nor a furnace that stands still is a stranger's: their seconds
// do not count, and an event that stands stays.
func TestWhatDoesNotCountAsUnfamiliar(t *testing.T) {
	for name, change := range map[string]func(*plant){
		"a frozen picture":            func(p *plant) { p.video.status = drivers.Frozen },
		"a furnace that stands still": func(p *plant) { p.amperes, p.noise = 0, 0 },
		"too little of the sense": func(p *plant) {
			p.likeness(0.9, inference.Missing)
		},
		"a model that fails":           func(p *plant) { p.model.err = errors.New("model is broken") },
		"a person for a minute":        func(p *plant) { p.sleep(50 * time.Second); p.likeness(0.9, 0.9) },
		"a model that stopped telling": func(p *plant) { p.model.more = nil },
	} {
		t.Run(name, func(t *testing.T) {
			operateWith(t, knowing(), func(p *plant) {
				p.likeness(0.9, 0.9)
				p.sleep(6 * time.Minute)
				p.likeness(0.9, 0)
				change(p)
				p.sleep(30 * time.Minute)
				if f := p.last().FamiliarityVideo; f == nil || f.Unfamiliar {
					t.Errorf("video %+v", f)
				}
			})
		})
	}
}

func TestASecondWithoutTheModelDoesNotEndIt(t *testing.T) {
	operateWith(t, knowing(), func(p *plant) {
		p.likeness(0.9, 0)
		p.sleep(time.Minute)
		p.unfamiliarAfter(true)
		p.model.err = errors.New("model is broken")
		p.sleep(10 * time.Second)
		if f := p.last().FamiliarityVideo; f == nil || !f.Unfamiliar || !math.IsNaN(f.Score) || f.Cause == "" {
			t.Errorf("video %+v while the rule decides", f)
		}
		p.model.err = nil
		p.model.sha256 = "second" // another model has its own mean
		p.sleep(10 * time.Second)
		if f := p.last().FamiliarityVideo; f == nil || f.Unfamiliar || !math.IsNaN(f.Mean) {
			t.Errorf("video %+v with another model", f)
		}
	})
}

func TestAModelThatDoesNotTellFamiliarity(t *testing.T) {
	operate(t, func(p *plant) {
		p.sleep(10 * time.Minute)
		if s := p.last(); s.FamiliarityCurrent != nil || s.FamiliarityVideo != nil {
			t.Errorf("current %v, video %v", s.FamiliarityCurrent, s.FamiliarityVideo)
		}
	})
}

// Outputs without levels are told, and nothing follows from them.
func TestAManifestWithoutFamiliarity(t *testing.T) {
	operate(t, func(p *plant) {
		p.likeness(0, 0)
		p.sleep(time.Hour)
		for _, f := range []*Familiarity{p.last().FamiliarityCurrent, p.last().FamiliarityVideo} {
			if f == nil || f.Score != 0 || !math.IsNaN(f.Mean) || f.Unfamiliar {
				t.Errorf("%+v", f)
			}
		}
	})
}

// An unfamiliar furnace has its alarm, at the same second and until the same second.
func TestUnfamiliarityTouchesNoAlarm(t *testing.T) {
	course := func(video float32) (states []state.State) {
		operateWith(t, knowing(), func(p *plant) {
			p.likeness(0, video)
			p.sleep(12 * time.Minute)
			if unfamiliar := p.last().FamiliarityVideo.Unfamiliar; unfamiliar != (video == 0) {
				t.Fatalf("unfamiliar %v at %g", unfamiliar, video)
			}
			p.model.p = 0.9
			p.sleep(10 * time.Minute)
			p.want(state.Abnormal, state.Model)
			p.model.p = 0.1
			p.sleep(time.Minute)
			p.want(state.Normal, state.Model)
			for _, s := range p.seconds {
				states = append(states, s.Status.State)
			}
		})
		return states
	}
	stranger, own := course(0), course(0.9)
	if len(stranger) != len(own) {
		t.Fatalf("%d and %d seconds", len(stranger), len(own))
	}
	for i := range own {
		if stranger[i] != own[i] {
			t.Fatalf("second %d: %s and %s", i, stranger[i], own[i])
		}
	}
}
