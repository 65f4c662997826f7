package alarm

import (
	"time"

	"meltwatch/agent/decide"
	"meltwatch/agent/message"
)

// kind is what tells the alarms from the suspicions.
type kind struct {
	name string // in events, and the class of its records
	file string // for the next start, in the state folder
	// observes is whether the tracker feeds the background.
	observes bool
	// standing tells whether one stands in a decided second.
	standing func(message.State, decide.Decision) standing
	// summary says in plain words why it was raised.
	summary func(message.Alarm) string
}

// standing is an alarm or a suspicion in one second, or none.
type standing struct {
	on, held bool
	since    time.Time
	mean     float64 // that is compared with the thresholds
	cause    string  // of its beginning or end
}

var alarms = kind{
	name: string(message.ClassAlarm), file: file, observes: true,
	standing: func(now message.State, d decide.Decision) standing {
		return standing{on: now.State == "abnormal", held: now.Held, since: now.Since, mean: now.PMean, cause: d.Status.Cause}
	},
	summary: Summary,
}

var suspicions = kind{
	name: string(message.ClassSuspicion), file: suspicionFile,
	standing: func(now message.State, d decide.Decision) standing {
		s := d.Status.Suspicion
		return standing{on: now.Level == "suspected", held: now.LevelHeld, since: now.LevelSince, mean: s.P, cause: s.Cause}
	},
	summary: suspects,
}
