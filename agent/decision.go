package agent

import (
	"context"
	"time"

	"meltwatch/agent/settings"
	"meltwatch/config"
)

// addDecision adds the settings of the decision as a part. Its first instance does
// nothing, because the decider was built from the same settings.
func (a *Agent) addDecision(c config.Config) {
	live := a.live.Load().manifest
	if err := settings.CheckThresholds(c.State, live.Decision); err != nil {
		// This must not prevent the agent's start: the decider uses enter for both.
		a.env.Log.Warn("thresholds contradict each other", "err", err)
	}
	a.warnOfSampling(c)
	first := &instance{activate: func() {}, missing: a.decidedSince(time.Now())}
	a.addBuilt("decide", settings.DecisionSection, first, a.buildDecision)
	first.activate = a.adopting(c) // for a change that is undone
}

// buildDecision passes new settings to the deciders between two seconds. Progress is a
// decided second.
func (a *Agent) buildDecision(c config.Config) (*instance, error) {
	if err := settings.CheckThresholds(c.State, a.live.Load().manifest.Decision); err != nil {
		return nil, err
	}
	a.warnOfSampling(c)
	i, adopt := &instance{missing: a.decidedSince(time.Now())}, a.adopting(c)
	i.activate = func() {
		adopt()
		i.missing = a.decidedSince(time.Now())
	}
	return i, nil
}

// adopting returns a function that passes settings to the deciders between two seconds.
//
//nolint:contextcheck // no caller waits longer than for the loop, which ends with the agent
func (a *Agent) adopting(c config.Config) func() {
	return func() {
		// An error means that the agent ends.
		_ = a.loop.Do(context.Background(), func() {
			for _, m := range []*modelInstance{a.live.Load(), a.second.Load()} {
				if m != nil {
					m.decider.Adopt(settings.Decision(c, m.manifest))
				}
			}
		})
	}
}

func (a *Agent) decidedSince(t time.Time) func() error {
	return func() error {
		if a.decided.Load() > t.UnixNano() {
			return nil
		}
		return errNothingYet
	}
}

func (a *Agent) warnOfSampling(c config.Config) {
	if err := settings.CheckSampling(c.Meters, a.live.Load().manifest); err != nil {
		a.env.Log.Warn("model not tested at the meter's rate", "err", err)
	}
}
