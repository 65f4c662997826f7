package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"meltwatch/agent"
	"meltwatch/agent/compare"
	"meltwatch/agent/decide"
	"meltwatch/agent/replay"
	"meltwatch/agent/state"
)

type replayCommand struct {
	recordingFlags
	Model string `placeholder:"DIR" type:"existingdir" help:"Model folder, instead of the model in force."`
	JSON  bool   `name:"json" help:"Print each second as one JSON object a line."`
}

// Help is the second part of the command's help.
func (replayCommand) Help() string {
	return `The recording runs through the decision that runs live, faster than it was. The summary says in how many seconds the
state is the recorded one; the first 210 s after a pause are not compared, because the window fills.

Examples:
  meltwatch replay -c furnace.yaml
  meltwatch replay -c furnace.yaml --model models/own --from 2026-11-28T13:40:00Z --json`
}

// replayed is a line of --json.
type replayed struct {
	Time     time.Time `json:"time"`
	Recorded string    `json:"recorded"`
	State    string    `json:"state"`
	// LevelRecorded is empty in a recording of a release without levels of alarm.
	LevelRecorded string  `json:"level_recorded"`
	Level         string  `json:"level"`
	PRecorded     float64 `json:"p_recorded"`
	P             float64 `json:"p"`
	PMean         float64 `json:"p_mean"`
	Compared      bool    `json:"compared"`
	// Familiarity is null for a sense of which it is unknown, and with a model that does
	// not tell.
	FamiliarityCurrent *float64 `json:"familiarity_current"`
	FamiliarityVideo   *float64 `json:"familiarity_video"`
}

// score is a sense's familiarity, or nil.
func score(one *decide.Familiarity) *float64 {
	if one == nil || math.IsNaN(one.Score) {
		return nil
	}
	return &one.Score
}

// told is a state, with the early warning that stands beside it.
func told(name, level string) string {
	if level == string(state.LevelSuspected) {
		return name + ", " + level
	}
	return name
}

// Run decides the recording again, and prints a summary or each second.
func (c replayCommand) Run(ctx context.Context, o outside) error {
	r, s, env, err := c.openAside(o)
	if err != nil {
		return err
	}
	if c.Model == "" {
		c.Model = agent.ModelInForce(s, env)
	}
	s.Model.Path = c.Model
	out, before := json.NewEncoder(o.out), ""
	scorer := compare.NewScorer(r.labels) // then and now
	var printing error
	result, err := agent.Replay(ctx, s, env, r.library, r.from, r.to, func(second replay.Second) {
		again := second.Again
		then := told(second.Recorded.State.State, second.Recorded.Level)
		now := told(string(again.Status.State), string(again.Status.Level))
		scorer.Add(second.Recorded.At, second.Settled, second.Recorded.State.State == string(state.Abnormal), again.Status.State == state.Abnormal)
		switch {
		case c.JSON:
			printing = errors.Join(printing, out.Encode(replayed{
				second.Recorded.Time, second.Recorded.State.State, string(again.Status.State), second.Recorded.Level, string(again.Status.Level),
				second.Recorded.PAbnormal, again.Verdict.P, again.Status.P, second.Settled,
				score(again.FamiliarityCurrent), score(again.FamiliarityVideo),
			}))
		case now != before:
			_, err := fmt.Fprintf(o.out, "%s  %s (recorded: %s)\n", second.Recorded.Time.Format(time.RFC3339), now, then)
			printing = errors.Join(printing, err)
			before = now
		}
	})
	if err = errors.Join(err, printing); err != nil || c.JSON {
		return err
	}
	_, err = fmt.Fprintf(o.out, "%d s decided again in %s (%.0f times as fast); the state is the recorded one in %s of %d compared seconds\n",
		result.Seconds, result.Took.Round(100*time.Millisecond), float64(result.Seconds)/result.Took.Seconds(), percent(result.Equal, result.Settled), result.Settled)
	if err == nil && result.Levels > 0 {
		_, err = fmt.Fprintf(o.out, "the level of alarm is the recorded one in %s of %d compared seconds\n", percent(result.EqualLevels, result.Levels), result.Levels)
	}
	if err == nil && result.Missing > 0 {
		_, err = fmt.Fprintf(o.out, "the picture of %d s is missing or damaged: they were decided with the picture before\n", result.Missing)
	}
	if then, now := scorer.Result().InForceSum, scorer.Result().CandidateSum; err == nil && then.Seconds > 0 {
		_, err = fmt.Fprintf(o.out, "labelled: then right in %s, now right in %s of %d seconds; of %d abnormal stretches %d were found then, %d now\n",
			percent(then.Right, then.Seconds), percent(now.Right, now.Seconds), then.Seconds, then.Found+then.Missed, then.Found, now.Found)
	}
	return err
}

func percent(part, whole int) string {
	if whole == 0 {
		return "–"
	}
	const hundred = 100
	return fmt.Sprintf("%.2f %%", hundred*float64(part)/float64(whole))
}
