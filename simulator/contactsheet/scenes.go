package contactsheet

import "meltwatch/simulator/furnace"

// tile is one picture of the sheet: a scenario and the second that is drawn.
type tile struct {
	label string
	seed  uint64
	at    float64 // seconds
	furnace.Scenario
}

// look is a furnace in one state for a long time, with disturbances.
func look(label string, seed uint64, at float64, state furnace.Name, events ...furnace.Nuisance) tile {
	return tile{label, seed, at, furnace.Scenario{
		Segments: []furnace.Segment{{State: state, Seconds: 600}}, Nuisances: events,
	}}
}

// episode is an onset of 120 s after a minute of normal work, an abnormal
// stretch of 180 s and a recovery of 120 s.
func episode(label string, at float64, events ...furnace.Nuisance) tile {
	const shell = 9 // the same one, so that the spot can be followed
	return tile{label, shell, at, furnace.Scenario{
		Segments: []furnace.Segment{
			{State: furnace.Normal, Seconds: 60}, {State: furnace.Ramp, Seconds: 120},
			{State: furnace.Abnormal, Seconds: 180}, {State: furnace.Recovery, Seconds: 120},
		}, Nuisances: events,
	}}
}

func event(cause furnace.Cause, at, seconds, strength float64) furnace.Nuisance {
	return furnace.Nuisance{Cause: cause, At: at, Seconds: seconds, Strength: strength}
}

// tiles shows first what must not raise an alarm, then an episode.
var tiles = []tile{
	look("off", 3, 60, furnace.Off),
	look("cold start", 3, 20, furnace.Startup),
	look("normal", 3, 60, furnace.Normal),
	look("normal, dark exposure", 3, 60, furnace.Normal, event(furnace.Exposure, 40, 40, -1)),
	look("normal, white exposure", 3, 60, furnace.Normal, event(furnace.Exposure, 40, 40, 1)),
	look("feeding", 5, 60, furnace.Normal, event(furnace.DoFeed, 40, 40, 1)),
	look("exhaust", 5, 60, furnace.Normal, event(furnace.DoExhaust, 50, 25, 1)),
	look("water mist", 7, 60, furnace.Normal, event(furnace.Mist, 52, 15, 1)),
	look("passer-by", 7, 60, furnace.Normal, event(furnace.PasserBy, 57, 6, 1)),
	look("stains", 12, 60, furnace.Normal),
	look("sparks", 12, 60, furnace.Normal, event(furnace.Sparks, 55, 10, 1)),
	look("overheating", 5, 90, furnace.Overheating),
	episode("onset, 40 s", 100),
	episode("onset, 80 s", 140),
	episode("abnormal", 230),
	episode("abnormal, white exposure", 230, event(furnace.Exposure, 210, 40, 1)),
	episode("abnormal, dark exposure", 230, event(furnace.Exposure, 210, 40, -1)),
	episode("abnormal, mist", 230, event(furnace.Mist, 222, 15, 1)),
	episode("abnormal, spot hidden", 230, event(furnace.Hidden, 215, 40, 1)),
	episode("recovery", 400),
}
