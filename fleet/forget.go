package fleet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"meltwatch/agent/message"
)

// Forget clears the retained topics of agents that are gone, and prints which. An agent
// that is online is refused unless force is set. confirm is asked once, with what is to
// be cleared; it may be nil.
func (f Fleet) Forget(ctx context.Context, agents string, force, asJSON bool, confirm func(question string) (bool, error)) error {
	return f.with(ctx, func(c *connection) error {
		chosen, err := c.choose(agents)
		if err != nil {
			return err
		}
		gone := slices.DeleteFunc(slices.Clone(chosen), func(agent string) bool { return c.online(agent) && !force })
		if !force { // without a message on availability a box counts as gone
			if err := c.known(ctx, gone, "or give --force if none of them runs", message.TopicAvailability); err != nil {
				return err
			}
		}
		if confirm != nil && len(gone) > 0 {
			question := fmt.Sprintf("Clear what the broker keeps of %s? Its desired configuration and model are lost too.", strings.Join(gone, ", "))
			yes, err := confirm(printableLine(question))
			if err != nil {
				return err
			}
			if !yes {
				return errors.New("nothing was cleared")
			}
		}
		return f.answers(chosen, asJSON, func(agent string) Answer {
			if !slices.Contains(gone, agent) {
				return Answer{Agent: agent, Status: statusRefused, Message: "the agent is online; stop it first, or give --force"}
			}
			return c.forget(ctx, agent)
		})
	})
}

// forget clears an agent's retained topics and looks whether they are gone: a broker
// acknowledges also what its access list denies.
func (c *connection) forget(ctx context.Context, agent string) Answer {
	answer := Answer{Agent: agent, Status: message.Failed}
	topics, err := c.retained(ctx, agent)
	if err != nil {
		answer.Message = err.Error()
		return answer
	}
	root := rootOf(agent)
	for _, topic := range topics {
		if err := c.publish(ctx, agent, strings.TrimPrefix(topic, root), true, nil); err != nil {
			answer.Message = err.Error()
			return answer
		}
	}
	left, err := c.retained(ctx, agent)
	switch {
	case err != nil:
		answer.Message = err.Error()
	case c.online(agent): // since the broker passed the clearing on
		answer.Message = "the agent is online still or again: stop it first"
	case len(left) > 0:
		answer.Message = fmt.Sprintf("%s cannot be cleared: the broker's access list must allow this user to write there", strings.Join(left, " "))
	default:
		answer.Status, answer.Topics = message.Done, topics
	}
	return answer
}

// mostRetained bounds how many retained topics of one agent are cleared at once.
const mostRetained = 10_000

// retained returns the topics below an agent's root that the broker keeps.
func (c *connection) retained(ctx context.Context, agent string) ([]string, error) {
	var mu sync.Mutex
	c.mu.Lock()
	arrived := arrivals{last: time.Now(), slowest: c.arrivals.slowest} // this broker's
	c.mu.Unlock()
	found := map[string]bool{}
	filter := rootOf(agent) + "#"
	err := c.subscribe(ctx, map[string]byte{filter: kept}, func(_ paho.Client, m paho.Message) {
		if !m.Retained() || len(m.Payload()) == 0 {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if len(found) < mostRetained {
			found[m.Topic()] = true
			arrived.came()
		}
	})
	if err != nil {
		return nil, fmt.Errorf("subscribe: %w", err)
	}
	mu.Lock()
	arrived.last = time.Now() // a slow broker has not begun to send before
	mu.Unlock()
	for {
		mu.Lock()
		all := arrived.over()
		mu.Unlock()
		if all {
			break
		}
		if err := c.pause(ctx, 50*time.Millisecond); err != nil {
			return nil, err
		}
	}
	if err := await(ctx, c.client.Unsubscribe(filter)); err != nil {
		return nil, fmt.Errorf("unsubscribe: %w", err)
	}
	mu.Lock()
	defer mu.Unlock()
	return slices.Sorted(maps.Keys(found)), nil
}
