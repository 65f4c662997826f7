package decide

import (
	"math"
	"time"

	"meltwatch/agent/align"
	"meltwatch/inference"
)

// The least share of a span that samples must cover for a valid CV.
const (
	enough120 = 0.75
	enough45  = 0.9
)

// RuleReads reports whether the rule can decide from a meter that is read once in
// period.
func RuleReads(period time.Duration) bool {
	return float64(align.MaxSampleSpan) >= enough120*float64(period)
}

// variation returns the coefficients of variation that the rule compares; NaN where the
// samples cover too little.
func variation(w align.Window) (long, short float64) {
	long, longShare := w.CV(120 * time.Second)
	short, shortShare := w.CV(45 * time.Second)
	if longShare < enough120 {
		long = math.NaN()
	}
	if shortShare < enough45 {
		short = math.NaN()
	}
	return long, short
}

// rule is the plant's rule on the current alone: in the semi-molten state the melt
// stops rolling, the arc gap is constant and the current's variation is low. It returns
// 1 for low variation, otherwise 0. weak reports whether only the shorter span is
// quiet. ok is false if there are too few samples or a phase draws no current.
func rule(w align.Window, levels inference.Rule) (p float64, weak, ok bool) {
	long, short := variation(w)
	haveLong, haveShort := !math.IsNaN(long), !math.IsNaN(short)
	switch {
	case haveLong && long < levels.CV120:
		return 1, false, true
	case haveShort && short < levels.CV45:
		return 1, true, true
	default:
		return 0, false, haveLong || haveShort
	}
}
