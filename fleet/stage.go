package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"meltwatch/agent/message"
)

// Stages say how a change reaches many agents. The first failure stops it before the
// next stage.
type Stages struct {
	Sizes   string // how many agents have it after each stage: numbers or shares, such as 1,25%,100%
	First   string // agent of the first stage; the first by name when empty
	Offline bool   // publish for agents that are offline too, without waiting for them
}

// parallel bounds how many agents of a stage are changed at once.
const parallel = 16

// split divides the agents into stages.
func (s Stages) split(agents []string) ([][]string, error) {
	var stages [][]string
	done := 0
	for _, word := range strings.Split(s.Sizes, ",") {
		upTo, err := upTo(strings.TrimSpace(word), len(agents))
		if err != nil {
			return nil, err
		}
		if upTo = min(upTo, len(agents)); upTo > done {
			stages = append(stages, agents[done:upTo])
			done = upTo
		}
	}
	return stages, nil
}

// upTo returns how many of n agents a word such as 3 or 25% means, at least one.
func upTo(word string, n int) (int, error) {
	digits, share := strings.CutSuffix(word, "%")
	number, err := strconv.Atoi(digits)
	if err != nil || number < 1 || share && number > 100 {
		return 0, fmt.Errorf("--stages: invalid size %q: give numbers of agents or shares, such as 1,25%%,100%%", word)
	}
	if share {
		number = (n*number + 99) / 100
	}
	return number, nil
}

// roll calls one for every chosen agent, stage by stage, and stops after a stage in
// which an agent failed.
func (s Stages) roll(ctx context.Context, out io.Writer, c *connection, pattern string, one func(ctx context.Context, agent string) error) error {
	agents, err := c.choose(pattern)
	if err != nil {
		return err
	}
	if agents, err = s.order(out, c, agents); err != nil {
		return err
	}
	stages, err := s.split(agents)
	if err != nil {
		return err
	}
	done := 0
	for i, stage := range stages {
		printLine(out, "stage %d of %d: %s", i+1, len(stages), strings.Join(stage, " "))
		err := each(ctx, out, stage, one)
		done += len(stage)
		if err != nil {
			return fmt.Errorf("stopped after stage %d: %w\n%d of %d agents are untouched: %s",
				i+1, err, len(agents)-done, len(agents), strings.Join(agents[done:], " "))
		}
	}
	if done < len(agents) {
		printLine(out, "%d agents are untouched, as --stages asks: %s", len(agents)-done, strings.Join(agents[done:], " "))
	}
	return nil
}

// order leaves out offline agents and puts the agent of the first stage first.
func (s Stages) order(out io.Writer, c *connection, agents []string) ([]string, error) {
	kept := slices.DeleteFunc(slices.Clone(agents), func(agent string) bool {
		if c.online(agent) || s.Offline {
			return false
		}
		why := "offline"
		if !c.heard(agent, message.TopicAvailability) {
			why = "not known to be online"
		}
		printLine(out, "%s: %s, left out; --offline publishes for it too", agent, why)
		return true
	})
	if s.First != "" {
		i := slices.Index(kept, s.First)
		if i < 0 {
			return nil, fmt.Errorf("--first: %s is not among the chosen agents that are online", s.First)
		}
		kept = append([]string{s.First}, slices.Delete(kept, i, i+1)...)
	}
	if len(kept) == 0 {
		return nil, errors.New("every chosen agent is offline")
	}
	return kept, nil
}

// known is an error unless silence on the topics of the agents to be changed means that
// nothing is retained there.
func (s Stages) known(ctx context.Context, c *connection, pattern, remedy string, topics ...string) error {
	agents, err := c.choose(pattern)
	if err != nil {
		return err
	}
	return c.known(ctx, slices.DeleteFunc(agents, func(agent string) bool { return !c.online(agent) && !s.Offline }), remedy, topics...)
}

func each(ctx context.Context, out io.Writer, agents []string, one func(context.Context, string) error) error {
	var mu sync.Mutex
	var faults []error
	group := errgroup.Group{}
	group.SetLimit(parallel)
	for _, agent := range agents {
		group.Go(func() error {
			err := one(ctx, agent)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				faults = append(faults, fmt.Errorf("%s: %w", agent, err))
				return nil
			}
			printLine(out, "%s: done", agent)
			return nil
		})
	}
	_ = group.Wait() // every function returns nil; errors are in faults
	return errors.Join(faults...)
}
