package furnace

// The difficulty of the furnace. These numbers decide the best result of a model that
// uses one sense; they are tuned here only. Shares are of
// abnormal time, rates are an hour of the time in which the thing can happen.
const (
	// Mixture of abnormal currents; drop-outs take the rest. The reduced kind is
	// what a current-only model misses.
	shareFlat    = 0.41
	shareReduced = 0.45

	// Fluctuation of a phase in amperes at 15 kA, before the arc's own dynamics
	// widen it about threefold.
	flatSigmaLow, flatSigmaHigh       = 60.0, 100.0
	reducedSigmaLow, reducedSigmaHigh = 340.0, 540.0
	dropSigmaLow, dropSigmaHigh       = 220.0, 480.0

	// How much of the slow wander of the phases stays, by kind.
	flatWander, reducedWander, dropWander = 0.1, 0.5, 0.4

	// How far each kind suppresses dips and the wander of vigour, and how often an
	// hour drop-outs come.
	flatCalm, reducedCalm, dropCalm = 1.0, 0.5, 0.6
	dropsPerHour                    = 80.0

	// Share of abnormal time whose current fluctuates nearly as a normal one's,
	// and the length of such a stretch in seconds.
	shareNearNormal                       = 0.095
	nearNormalShortest, nearNormalLongest = 25.0, 80.0

	// Calm spells of a normal furnace, the current's look-alike.
	calmPerHour               = 9.0
	calmShortest, calmLongest = 10.0, 30.0
	calmSigma                 = 0.2 // fluctuation left at the bottom of a calm spell

	// Time until a beginning episode has quietened the current, and how much
	// later the glow starts, in seconds; leads crowd towards zero.
	quietShortest, quietLongest = 30.0, 80.0
	glowLeadLongest             = 60.0

	// Share of abnormal time in which the hot spot is hidden, and the stretches.
	shareHidden                   = 0.065
	hiddenShortest, hiddenLongest = 15.0, 50.0

	// Share of a Hard life's episodes of which one sense, and as often the other, shows
	// nothing at all.
	loneShare = 1.0 / 6

	// Area of the hot spot as a share of the crop: at first glow, and what it
	// grows to (drawn between the two, crowding low).
	spotFirst                 = 0.0005
	spotSmallest, spotLargest = 0.015, 0.05

	// Radiance of the spot against a fully lit white patch: at first glow, and
	// fully grown.
	spotFaint, spotBright = 0.22, 2.6

	// Slow wander of exposure and white balance from dark blue (−1) to near-white
	// (1), and the gain at the white end.
	swingSpread, swingSeconds = 0.36, 90.0
	whitest                   = 6.5

	// The flame's own restlessness, which blurs its link to the current.
	gustSpread = 0.25

	// Mist at its densest hides this share of what lies behind.
	mistDensest = 0.85
	// Radiance of an ember, the spot's look-alike.
	emberShine = 0.7

	// Nuisances in the picture, an hour.
	mistPerHour, mistShortest, mistLongest        = 26.0, 4.0, 18.0
	exposurePerHour                               = 20.0
	exposureShortest, exposureLongest             = 10.0, 60.0
	passersPerHour, passerShortest, passerLongest = 12.0, 3.0, 8.0
	sparksPerHour, sparksShortest, sparksLongest  = 30.0, 1.0, 8.0
	emberPerHour, emberShortest, emberLongest     = 5.0, 6.0, 30.0

	// Faults of the senses, an hour.
	gapsPerHour, gapShortest, gapLongest         = 5.0, 1.0, 5.0
	frozenPerHour, frozenShortest, frozenLongest = 1.5, 2.0, 8.0
	stuckPerHour, stuckShortest, stuckLongest    = 1.0, 2.0, 8.0
	extinctionsPerHour, slipsPerHour             = 2.0, 0.8
)

// ScoredFrom is the severity from which a second counts as abnormal.
const ScoredFrom = 0.3
