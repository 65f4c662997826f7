package furnace

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// timeline is a scenario laid out in time: it returns the state and severity at each
// instant, in order.
type timeline struct {
	segments []span
	index    int
	tracks   [len(causes)]track
}

// span is a segment with its place in time and its episode.
type span struct {
	Segment
	from, to float64
	episode  *episodeDraw
}

// episodeDraw holds the values of an episode from its onset to the end of its recovery.
type episodeDraw struct {
	number       int
	onset        float64
	recovery     float64 // when recovery starts, +Inf when the scenario ends before
	end          float64
	kind         Kind
	bend         float64 // exponent of severity against the ramp's share
	quietSeconds float64
	lead         float64 // glow after quiet, seconds
	sigma        float64 // amperes at 15 kA
	wander       float64
	calm         float64 // share of dips and vigour suppressed
	offsets      [3]float64
	spotSeed     uint64
	spotArea     float64
}

// newTimeline lays out the scenario. electric draws the effect of each episode on the
// current, picture its appearance.
func newTimeline(s Scenario, electric, picture *rand.Rand) *timeline {
	c := &timeline{}
	at := 0.0
	var running *episodeDraw
	count := 0
	for _, g := range s.Segments {
		sp := span{Segment: g, from: at, to: at + g.Seconds}
		starts := g.State == Ramp || g.State == Abnormal && running == nil
		switch {
		case starts:
			count++
			running = drawEpisode(count, g, at, electric, picture)
		case g.State == Recovery:
			if running != nil {
				running.recovery, running.end = sp.from, sp.to
			}
		case g.State != Abnormal:
			running = nil
		}
		sp.episode = running
		if g.State == Recovery {
			running = nil
		}
		c.segments = append(c.segments, sp)
		at = sp.to
	}
	for i, cause := range causes {
		for _, n := range s.Nuisances {
			if n.Cause == cause {
				if n.Strength == 0 {
					n.Strength = 1
				}
				c.tracks[i].list = append(c.tracks[i].list, n)
			}
		}
		slices.SortStableFunc(c.tracks[i].list, func(a, b Nuisance) int { return cmp.Compare(a.At, b.At) })
	}
	return c
}

func drawEpisode(number int, g Segment, at float64, electric, picture *rand.Rand) *episodeDraw {
	e := &episodeDraw{number: number, onset: at, recovery: math.Inf(1), end: math.Inf(1), kind: g.Current}
	// Draw the same numbers whatever the script says, so that a changed kind
	// leaves later episodes as they were.
	mix, depth := electric.Float64(), electric.Float64()
	e.quietSeconds = uniform(electric, quietShortest, quietLongest)
	for p := range e.offsets {
		e.offsets[p] = electric.NormFloat64() * 0.04
	}
	if e.kind == "" {
		e.kind = mixture(mix)
	}
	switch e.kind {
	case Flat:
		e.sigma, e.wander = flatSigmaLow+(flatSigmaHigh-flatSigmaLow)*depth, flatWander
		e.calm = flatCalm
	case Reduced:
		e.sigma, e.wander = reducedSigmaLow+(reducedSigmaHigh-reducedSigmaLow)*depth, reducedWander
		e.calm = reducedCalm
	case DropOuts:
		e.sigma, e.wander = dropSigmaLow+(dropSigmaHigh-dropSigmaLow)*depth, dropWander
		e.calm = dropCalm
	}
	e.bend = uniform(picture, 0.8, 1.3)
	e.lead = glowLeadLongest * math.Pow(picture.Float64(), 2.5)
	e.spotSeed = picture.Uint64()
	e.spotArea = spotSmallest * math.Pow(spotLargest/spotSmallest, picture.Float64())
	return e
}

func mixture(p float64) Kind {
	switch {
	case p < shareFlat:
		return Flat
	case p < shareFlat+shareReduced:
		return Reduced
	}
	return DropOuts
}

// at returns the span at time t; t must not decrease from call to call.
func (c *timeline) at(t float64) span {
	for c.index+1 < len(c.segments) && t >= c.segments[c.index].to {
		c.index++
	}
	return c.segments[c.index]
}

// severity is the hidden truth: the damage of the shell, 0–1.
func (s span) severity(t float64) float64 {
	if s.episode == nil {
		return 0
	}
	share := (t - s.from) / (s.to - s.from)
	switch s.State {
	case Ramp:
		return math.Pow(clamp(share, 0, 1), s.episode.bend)
	case Abnormal:
		return 1
	case Recovery:
		return clamp(1-share, 0, 1)
	}
	return 0
}

// quiet is how far the episode has quietened the current, 0–1. The current returns within
// seconds of the action that starts recovery.
func (e *episodeDraw) quiet(t float64) float64 {
	if e == nil {
		return 0
	}
	rise := smooth((t - e.onset) / e.quietSeconds)
	return rise * (1 - smooth((t-e.recovery)/15))
}

// track steps through the events of one cause.
type track struct {
	list  []Nuisance
	index int
}

// level is how strongly the track's event acts at t, faded in and out over fade
// seconds, and the event. t must not decrease.
func (k *track) level(t, fade float64) (float64, Nuisance) {
	for k.index < len(k.list) && t >= k.list[k.index].At+k.list[k.index].Seconds {
		k.index++
	}
	if k.index == len(k.list) || t < k.list[k.index].At {
		return 0, Nuisance{}
	}
	n := k.list[k.index]
	if fade <= 0 {
		return n.Strength, n
	}
	edge := min(t-n.At, n.At+n.Seconds-t)
	return n.Strength * clamp(edge/min(fade, n.Seconds/2), 0, 1), n
}

func clamp(x, low, high float64) float64 { return max(low, min(high, x)) }

// smooth goes from 0 to 1 with level ends as x goes from 0 to 1.
func smooth(x float64) float64 {
	x = clamp(x, 0, 1)
	return x * x * (3 - 2*x)
}
