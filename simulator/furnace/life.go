package furnace

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// Life is the kind of scenario that a seed draws.
type Life string

// The kinds of life.
const (
	// Mixed has an abnormal episode every few minutes, so that a data set holds
	// many; about half of its scored seconds are abnormal.
	Mixed Life = "mixed"
	// NormalLife never becomes abnormal: what false alarms are counted on.
	NormalLife Life = "normal"
	// Shift is a working day: an episode or two in some hours.
	Shift Life = "shift"
	// Hard is Mixed with episodes that show in one sense only from onset to recovery
	// (one in six in each), longer calm spells, and a quarter of the melts with longer
	// normal work. Unseen houses are judged on it.
	Hard Life = "hard"
)

// Draw plans a scenario of the given length. timeline draws the states and the PLC's
// reports; current and picture draw the disturbances of either sense, which are therefore
// independent.
func Draw(life Life, seconds float64, timeline, current, picture uint64) Scenario {
	s := Scenario{Name: fmt.Sprintf("%s-%d", life, timeline), Seed: timeline}
	r := stream(timeline, streamTimeline)
	for left := seconds; left > 0; {
		for _, g := range cycle(r, life) {
			g.Seconds = min(g.Seconds, left)
			if left -= g.Seconds; g.Seconds > 0 {
				s.Segments = append(s.Segments, g)
			}
		}
	}
	s.Nuisances = disturb(r, s.Segments, seconds, current, picture)
	if life == Hard {
		s.Nuisances = append(s.Nuisances, loneSigns(r, s.Segments)...)
		s.Nuisances = append(s.Nuisances, scatter(stream(current, streamLongCalm), Calm, 3, 25, 75, 0, seconds)...)
	}
	return s
}

// loneSigns hides one sense's sign of some episodes throughout.
func loneSigns(r *rand.Rand, segments []Segment) []Nuisance {
	var list []Nuisance
	at := 0.0
	var from float64
	for _, g := range segments {
		if g.State == Ramp {
			from = at
		}
		at += g.Seconds
		if g.State != Recovery {
			continue
		}
		n := Nuisance{At: from, Seconds: at - from, Strength: 1}
		switch p := r.Float64(); {
		case p < loneShare:
			n.Cause = Hidden
		case p < 2*loneShare:
			n.Cause = NearNormal
		default:
			continue
		}
		list = append(list, n)
	}
	return list
}

// Disturb adds to a given scenario the disturbances that Draw adds to a drawn one.
func Disturb(s Scenario, timeline, current, picture uint64) Scenario {
	s.Nuisances = disturb(stream(timeline, streamTimeline), s.Segments, s.Seconds(), current, picture)
	return s
}

func disturb(r *rand.Rand, segments []Segment, seconds float64, current, picture uint64) []Nuisance {
	return slices.Concat(work(r, seconds),
		currentEvents(stream(current, streamCurrentEvents), segments, seconds),
		pictureEvents(stream(picture, streamPictureEvents), segments, seconds))
}

// cycle draws the segments up to the end of the next recovery.
func cycle(r *rand.Rand, life Life) []Segment {
	switch life {
	case NormalLife:
		return []Segment{{State: Normal, Seconds: 1800}}
	case Shift:
		return append([]Segment{{State: Normal, Seconds: uniform(r, 3600, 14400)}}, episode(r, 600)...)
	}
	segments := []Segment{{State: Normal, Seconds: uniform(r, 180, 480)}}
	switch p := r.Float64(); {
	case p < 0.03:
		return append(segments, Segment{State: Overheating, Seconds: uniform(r, 40, 100)},
			Segment{State: Recovery, Seconds: uniform(r, 60, 120)})
	case p < 0.06:
		return append(segments, Segment{State: AbnormalExhaust, Seconds: uniform(r, 30, 60)})
	case p < 0.09:
		return append(segments, Segment{State: Trip, Seconds: 2}, Segment{State: Off, Seconds: uniform(r, 20, 60)},
			Segment{State: Startup, Seconds: 60})
	}
	return append(segments, episode(r, 420)...)
}

// episode draws one episode, from onset to the end of recovery.
func episode(r *rand.Rand, longest float64) []Segment {
	return []Segment{
		{State: Ramp, Seconds: uniform(r, 120, 180)},
		{State: Abnormal, Seconds: uniform(r, 90, longest)},
		{State: Recovery, Seconds: 60 + 240*r.Float64()*r.Float64()},
	}
}

// work draws the crew's actions, in every state alike: they must not reveal the state.
func work(r *rand.Rand, seconds float64) []Nuisance {
	return slices.Concat(
		scatter(r, DoFeed, 11, 20, 60, 0, seconds),
		scatter(r, DoExhaust, 7, 10, 30, 0, seconds),
		scatter(r, DoManual, 2, 30, 150, 0, seconds))
}

// currentEvents draws what disturbs the current.
func currentEvents(r *rand.Rand, segments []Segment, seconds float64) []Nuisance {
	return slices.Concat(
		scatter(r, Calm, calmPerHour, calmShortest, calmLongest, 0, seconds),
		cover(r, NearNormal, shareNearNormal, nearNormalShortest, nearNormalLongest, segments),
		scatter(r, ArcLost, extinctionsPerHour, 4, 4, 0, seconds),
		scatter(r, ElectrodeRun, slipsPerHour, 20, 40, 0, seconds),
		scatter(r, MeterGap, gapsPerHour, gapShortest, gapLongest, 0, seconds),
		scatter(r, MeterStuck, stuckPerHour, stuckShortest, stuckLongest, 0, seconds))
}

// pictureEvents draws what disturbs the picture.
func pictureEvents(r *rand.Rand, segments []Segment, seconds float64) []Nuisance {
	return slices.Concat(
		cover(r, Hidden, shareHidden, hiddenShortest, hiddenLongest, segments),
		scatter(r, Mist, mistPerHour, mistShortest, mistLongest, 0, seconds),
		signed(r, scatter(r, Exposure, exposurePerHour, exposureShortest, exposureLongest, 0, seconds)),
		scatter(r, PasserBy, passersPerHour, passerShortest, passerLongest, 0, seconds),
		scatter(r, Sparks, sparksPerHour, sparksShortest, sparksLongest, 0, seconds),
		scatter(r, Cinder, emberPerHour, emberShortest, emberLongest, 0, seconds),
		scatter(r, CameraGap, gapsPerHour, gapShortest, gapLongest, 0, seconds),
		scatter(r, CameraFrozen, frozenPerHour, frozenShortest, frozenLongest, 0, seconds))
}

// scatter places events as a Poisson process of perHour over [from, to).
func scatter(r *rand.Rand, cause Cause, perHour, shortest, longest, from, to float64) []Nuisance {
	var list []Nuisance
	for at := from + r.ExpFloat64()*3600/perHour; at < to; {
		n := Nuisance{Cause: cause, At: at, Seconds: uniform(r, shortest, longest), Strength: uniform(r, 0.35, 1)}
		list = append(list, n)
		at += n.Seconds + r.ExpFloat64()*3600/perHour
	}
	return list
}

// signed gives each event the opposite sign with probability 1/2.
func signed(r *rand.Rand, list []Nuisance) []Nuisance {
	for i := range list {
		if r.IntN(2) == 0 {
			list[i].Strength = -list[i].Strength
		}
	}
	return list
}

// cover places stretches in abnormal time only, so that they take the given share of it.
func cover(r *rand.Rand, cause Cause, share, shortest, longest float64, segments []Segment) []Nuisance {
	var list []Nuisance
	perHour := 3600 * share / (1 - share) / ((shortest + longest) / 2)
	at := 0.0
	for _, g := range segments {
		switch g.State {
		case Ramp:
			// The first third is below the scored severity.
			list = append(list, scatter(r, cause, perHour, shortest, longest, at+g.Seconds/3, at+g.Seconds)...)
		case Abnormal:
			list = append(list, scatter(r, cause, perHour, shortest, longest, at, at+g.Seconds)...)
		}
		at += g.Seconds
	}
	return list
}
