package decide

import (
	"fmt"
	"math"

	"meltwatch/agent/state"
	"meltwatch/inference"
)

// Familiarity is how much one sense is like what the model learnt. It changes no verdict,
// no state and no alarm: it tells how far the model's verdicts can be trusted.
type Familiarity struct {
	// Score is that of the window, 0 (unlike anything) to 1; NaN while unknown.
	Score float64
	// Mean is the mean of the score over the length that the manifest gives; NaN until it
	// has been known for so long, and without levels for the sense in the manifest.
	Mean float64
	// Unfamiliar reports whether the mean has stayed under its level; Cause is why that
	// changed last.
	Unfamiliar bool
	Cause      string
}

// familiarity follows both senses of one model. Only seconds that the model decided, with
// a live sense and a working furnace, are averaged: neither an idle furnace nor a frozen
// picture is what a model learns.
type familiarity struct{ current, video slowMean }

// step adds the second's means to s, whose scores and state are decided.
func (f *familiarity) step(s *Decision, levels *inference.Familiarity) {
	if levels == nil {
		levels = &inference.Familiarity{}
	}
	working := s.Verdict.Source == state.Model && (s.Status.State == state.Normal || s.Status.State == state.Abnormal)
	s.FamiliarityCurrent = f.current.step(s.FamiliarityCurrent, levels.Current, working && s.Current.Live(), "the current is unlike any that the model learnt")
	s.FamiliarityVideo = f.video.step(s.FamiliarityVideo, levels.Video, working && s.Video.Live(), "the picture is unlike any that the model learnt")
}

// slowMean is the mean of one sense's scores over minutes, and what follows from it.
type slowMean struct {
	told    bool    // whether the model has such an output
	sum     float64 // of the scores of the minute that is not full yet
	seconds int
	minutes []float64 // means of the last full minutes, oldest first
	// beyond is for how many minutes the mean has been on the other side of the level.
	beyond     int
	unfamiliar bool
	cause      string
}

const minute = 60 // seconds

// unfamiliarRemedy is what a person does about a sense that the model has not learnt.
const unfamiliarRemedy = "check that it shows and measures the furnace as it should; then record this furnace (recorder.enabled) and adapt the model (docs/own-data.md)"

// step adds one second, if it counts, and returns it with the mean. one is nil in a second
// that the model did not decide, and if the model does not tell.
func (m *slowMean) step(one *Familiarity, levels *inference.FamiliarityLevels, counts bool, unlike string) *Familiarity {
	if m.told = m.told || one != nil; !m.told {
		return nil
	}
	if one == nil {
		one = &Familiarity{Score: math.NaN()}
	}
	if levels != nil && counts && !math.IsNaN(one.Score) {
		m.add(one.Score, *levels, unlike)
	}
	one.Mean, one.Unfamiliar, one.Cause = math.NaN(), m.unfamiliar, m.cause
	if levels != nil && len(m.minutes) == levels.MeanMinutes {
		one.Mean = m.mean()
	}
	return one
}

// add adds a score. Once a minute the mean moves on and is compared with the level.
func (m *slowMean) add(score float64, levels inference.FamiliarityLevels, unlike string) {
	m.sum += score
	if m.seconds++; m.seconds < minute {
		return
	}
	m.minutes = append(m.minutes, m.sum/minute)
	m.sum, m.seconds = 0, 0
	if n := len(m.minutes) - levels.MeanMinutes; n > 0 {
		m.minutes = append(m.minutes[:0], m.minutes[n:]...)
	}
	if len(m.minutes) < levels.MeanMinutes {
		return
	}
	mean := m.mean()
	if (mean < levels.Level) == m.unfamiliar {
		m.beyond = 0
		return
	}
	if m.beyond++; m.beyond <= levels.HoldMinutes {
		return
	}
	m.unfamiliar, m.beyond = !m.unfamiliar, 0
	// A mean is read beside a level of three digits.
	compared := fmt.Sprintf("familiarity %.4f, mean of %d min", mean, levels.MeanMinutes)
	if m.unfamiliar {
		m.cause = fmt.Sprintf("%s: %s, is under %g; %s", unlike, compared, levels.Level, unfamiliarRemedy)
	} else {
		m.cause = fmt.Sprintf("%s, is %g or more again", compared, levels.Level)
	}
}

func (m *slowMean) mean() float64 {
	sum := 0.0
	for _, one := range m.minutes {
		sum += one
	}
	return sum / float64(len(m.minutes))
}

// familiarityOf is a sense's score, or nil if the model has no such output.
func familiarityOf(output []float32, counted bool) *Familiarity {
	if len(output) != 1 {
		return nil
	}
	return &Familiarity{Score: alone(output, counted), Mean: math.NaN()}
}
