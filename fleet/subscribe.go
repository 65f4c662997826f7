package fleet

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"meltwatch/agent/message"
)

// The quality of service of a subscription. Retained messages are read with kept: with QoS 1
// mosquitto drops those above its max_queued_messages without an error, and a cluster may create
// a queue with a copy on several nodes for each filter (NATS does), which a busy one refuses.
// For what operations wait for later, sure is used.
const (
	kept byte = 0
	sure byte = 1
)

// filtersOf are the filters of topics of every agent.
func filtersOf(topics []string, qos byte) map[string]byte {
	filters := map[string]byte{}
	for _, topic := range topics {
		filters[message.Root("+", "+")+topic] = qos
	}
	return filters
}

// follow makes sure that no later message of these topics is lost, after what the broker
// keeps has arrived. Filters that the broker has refused stay refused.
func (c *connection) follow(ctx context.Context, topics []string) error {
	filters := filtersOf(topics, sure)
	c.mu.Lock()
	maps.DeleteFunc(filters, func(filter string, _ byte) bool { return c.refuses(filter) })
	c.mu.Unlock()
	if len(filters) == 0 {
		return nil
	}
	if err := c.subscribe(ctx, filters, c.take); err != nil {
		return fmt.Errorf("subscribe at %s: %w", c.broker.URL, err)
	}
	return nil
}

const (
	// refused is a broker's answer to a filter that its access list denies, or that it cannot
	// serve at this moment: MQTT 3.1.1 has one code for both.
	refused = 0x80
	// refusedPause is before another try: a busy cluster refuses what it grants a second later.
	refusedPause = time.Second
)

// subscribe returns once the broker has accepted the filters, or some of them: a user may
// read a part of the topics. Those that it refuses twice are noted for readable.
func (c *connection) subscribe(ctx context.Context, filters map[string]byte, take paho.MessageHandler) error {
	left := filters
	for try := range 2 {
		if try > 0 {
			if err := c.pause(ctx, refusedPause); err != nil {
				return err
			}
		}
		token := c.client.SubscribeMultiple(left, take)
		if err := await(ctx, token); err != nil {
			return err
		}
		if left = refusedOf(token, left); len(left) == 0 {
			return nil
		}
	}
	if len(left) == len(filters) {
		return refusedError(slices.Sorted(maps.Keys(left)))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refused == nil {
		c.refused = map[string]byte{}
	}
	maps.Copy(c.refused, left)
	return nil
}

func refusedError(filters []string) error {
	return fmt.Errorf("the broker refuses %s: its access list must allow this user to read there (a busy broker may refuse too: try again)", strings.Join(filters, " "))
}

// refusedOf returns the filters of a subscription that the broker has refused.
func refusedOf(token paho.Token, filters map[string]byte) map[string]byte {
	left := map[string]byte{}
	if subscribed, ok := token.(*paho.SubscribeToken); ok {
		for filter, answer := range subscribed.Result() {
			if answer == refused {
				left[filter] = filters[filter]
			}
		}
	}
	return left
}

// readable is an error if the broker refuses to tell one of the topics of every agent. Without
// the document in force a change would begin from nothing and replace it.
func (c *connection) readable(topics ...string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var left []string
	for _, topic := range topics {
		if filter := message.Root("+", "+") + topic; c.refuses(filter) {
			left = append(left, filter)
		}
	}
	if len(left) > 0 {
		return fmt.Errorf("the document in force is unknown, so nothing is changed: %w", refusedError(left))
	}
	return nil
}

// refuses requires that mu is held.
func (c *connection) refuses(filter string) bool {
	_, ok := c.refused[filter]
	return ok
}
