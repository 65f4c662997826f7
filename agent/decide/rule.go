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

// rule is the plant's rule on the current alone: in the semi-molten state the melt
// stops rolling, the arc gap is constant and the current's variation is low. It returns
// 1 for low variation, otherwise 0. weak reports whether only the shorter span is
// quiet. ok is false if there are too few samples or a phase draws no current.
func rule(w align.Window, levels inference.Rule) (p float64, weak, ok bool) {
	long, longShare := w.CV(120 * time.Second)
	short, shortShare := w.CV(45 * time.Second)
	haveLong := longShare >= enough120 && !math.IsNaN(long)
	haveShort := shortShare >= enough45 && !math.IsNaN(short)
	switch {
	case haveLong && long < levels.CV120:
		return 1, false, true
	case haveShort && short < levels.CV45:
		return 1, true, true
	default:
		return 0, false, haveLong || haveShort
	}
}
