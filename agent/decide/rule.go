package decide

import (
	"math"
	"time"

	"meltwatch/agent/align"
	"meltwatch/inference"
)

// The share of a span that its samples must cover for its CV to mean anything.
const (
	enough120 = 0.75
	enough45  = 0.9
)

// RuleReads reports whether the rule can judge a meter that is read once in period.
func RuleReads(period time.Duration) bool {
	return float64(align.SpokenFor) >= enough120*float64(period)
}

// rule is the plant's own rule on current alone: in the semi-molten state the
// melt no longer rolls, the arc gap stands still and the current goes quiet. It
// returns 1 for quiet, 0 for lively; weak says that only the shorter span is
// quiet; ok is false when there is too little current to tell, or a phase has none.
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
