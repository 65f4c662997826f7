package report

import (
	"math"

	"meltwatch/agent/decide"
	"meltwatch/agent/message"
)

// addFamiliarity adds what the model tells of each sense; nil where it does not.
func addFamiliarity(p *message.State, current, video *decide.Familiarity) {
	if current == nil && video == nil {
		return
	}
	c, v := told(current), told(video)
	p.Familiarity = &message.Familiarity{Current: known(c.Score), Video: known(v.Score)}
	if mean := (message.Familiarity{Current: known(c.Mean), Video: known(v.Mean)}); mean.Current != nil || mean.Video != nil {
		p.FamiliarityMean = &mean
	}
	if c.Unfamiliar || v.Unfamiliar {
		p.Unfamiliar = &message.Unfamiliar{Current: c.Unfamiliar, Video: v.Unfamiliar}
	}
}

// told is what the model tells of a sense, with unknown values where it tells nothing.
func told(one *decide.Familiarity) decide.Familiarity {
	if one == nil {
		return decide.Familiarity{Score: math.NaN(), Mean: math.NaN()}
	}
	return *one
}

// The event's kind, and what a sense is in its from and to.
const (
	familiarityKind = "familiarity"
	familiar        = "familiar"
	unfamiliar      = "unfamiliar"
	unknown         = "unknown" // before the mean of another model is known
)

// familiarity publishes an event when a sense has become unfamiliar or familiar, and keeps
// a remark in health while it is unfamiliar.
func (r *Reporter) familiarity(now message.State, s decide.Decision) {
	was, is := unfamiliarOf(r.before), unfamiliarOf(now)
	var degraded []string
	for _, sense := range []struct {
		name    string
		was, is bool
		told    decide.Familiarity
	}{
		{"current", was.Current, is.Current, told(s.FamiliarityCurrent)},
		{"video", was.Video, is.Video, told(s.FamiliarityVideo)},
	} {
		if sense.is {
			degraded = append(degraded, sense.name+": "+sense.told.Cause)
		}
		switch {
		case sense.is && !sense.was:
			r.Event(familiarityKind, sense.name, familiar, unfamiliar, sense.told.Cause)
			r.Log.Warn("sense is unlike what the model learnt", "sense", sense.name, "cause", sense.told.Cause)
		case sense.was && !sense.is:
			to, cause := familiar, sense.told.Cause
			if math.IsNaN(sense.told.Mean) {
				to, cause = unknown, ""
			}
			if cause == "" { // of this model's own mean it would be known
				cause = "another model decides"
			}
			r.Event(familiarityKind, sense.name, unfamiliar, to, cause)
			r.Log.Info("sense counts as unfamiliar no longer", "sense", sense.name, "cause", cause)
		}
	}
	// Another model may have another reason for the same.
	r.decisions.Remark(degraded, nil)
}

func unfamiliarOf(s message.State) message.Unfamiliar {
	if s.Unfamiliar == nil {
		return message.Unfamiliar{}
	}
	return *s.Unfamiliar
}
