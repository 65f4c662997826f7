package fleet

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"meltwatch/agent/message"
	"meltwatch/brokerlink"
)

// A broker may grant a subscription that its access list denies, and then send nothing;
// mosquitto does. That is the same silence as that of a topic without a retained message.
// Before a decision rests on silence, a message is therefore sent on such a topic, and must
// come back.

// triedFurnace is the furnace of the topics on which reading is tried. No agent can have
// this name (config.ValidName), so none subscribes to it, and meltctl ignores it. An access list that
// allows all furnaces of a site allows it too.
const triedFurnace = "meltctl~try"

// noneFound is the possible reason why a topic has no message, for commands that only read.
const noneFound = "there is none, or the right to read it is missing (mosquitto reports no error for that)"

// heard reports whether a topic of an agent has arrived, be it empty.
func (c *connection) heard(agent, topic string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.payloads[agent][topic]
	return ok
}

// known is an error unless silence on the topics of these agents means that nothing is
// retained there. remedy is what the user can do instead of changing the access list.
func (c *connection) known(ctx context.Context, agents []string, remedy string, topics ...string) error {
	sent, silent := map[string]string{}, map[string]string{} // by the topic that is tried
	for _, agent := range agents {
		site, _, _ := strings.Cut(agent, "/")
		for _, topic := range topics {
			if full := message.Root(site, triedFurnace) + topic; sent[full] == "" && !c.heard(agent, topic) {
				sent[full], silent[full] = fmt.Sprintf(`{"v":1,"try":%q}`, rand.Text()), topic+" of "+agent
			}
		}
	}
	left, err := c.comesBack(ctx, false, sent)
	if err != nil {
		return fmt.Errorf("nothing is changed, because the right to read retained messages cannot be checked: %w; %s", err, remedy)
	}
	var faults []string
	for _, full := range left {
		faults = append(faults, fmt.Sprintf("nothing has arrived on %s, and a retained message may exist there: %v", silent[full], c.denied(ctx, full, sent[full])))
	}
	if len(faults) > 0 {
		return fmt.Errorf("nothing is changed: %s; %s", strings.Join(faults, "; "), remedy)
	}
	return nil
}

// leastReturn is how long a message may at least take to come back.
const leastReturn = time.Second

// comesBack publishes payloads by their topics and returns the topics, sorted, whose
// messages do not come back within the wait for retained topics.
func (c *connection) comesBack(ctx context.Context, retained bool, sent map[string]string) (left []string, err error) {
	c.mu.Lock()
	if c.awaited == nil {
		c.awaited = map[string]string{}
	}
	maps.Copy(c.awaited, sent)
	c.mu.Unlock()
	tokens := map[string]paho.Token{}
	for topic, text := range sent {
		tokens[topic] = c.client.Publish(topic, 1, retained, text)
	}
	for topic, token := range tokens {
		if err := await(ctx, token); err != nil {
			return nil, fmt.Errorf("publish %s: %w", topic, err)
		}
	}
	for end := time.Now().Add(max(c.broker.Wait, leastReturn)); ; {
		left = nil
		c.mu.Lock()
		for topic, text := range sent {
			if awaited, ok := c.awaited[topic]; ok && awaited == text { // an empty one too
				left = append(left, topic)
			}
		}
		c.mu.Unlock()
		if len(left) == 0 || time.Now().After(end) {
			slices.Sort(left)
			return left, nil
		}
		if err := c.pause(ctx, 10*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// cameBack notes a message that may be awaited. It requires that mu is held.
func (c *connection) cameBack(m paho.Message) {
	if text, ok := c.awaited[m.Topic()]; ok && text == string(m.Payload()) {
		delete(c.awaited, m.Topic())
	}
}

// place publishes the document of an agent. A broker acknowledges also what its access list
// denies: where an earlier document arrived, the new one must arrive too. Where none did,
// known has checked that this user may write there, or the user has skipped that check.
func (c *connection) place(ctx context.Context, agent, topic string, document []byte) error {
	if !c.heard(agent, topic) {
		return c.publish(ctx, agent, topic, true, document)
	}
	full := rootOf(agent) + topic
	left, err := c.comesBack(ctx, true, map[string]string{full: string(document)})
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("the broker has not sent it back: let this user write %s in the broker's access list (a busy broker may be late: try again)", message.Root("+", "+")+topic)
	}
	if err != nil {
		return fmt.Errorf("publish %s of %s: %w", topic, agent, err)
	}
	return nil
}

// denied returns which right is missing for a message that did not come back.
func (c *connection) denied(ctx context.Context, topic, text string) error {
	options, err := c.broker.options() // of another client id
	if err != nil {
		return err
	}
	every := strings.Replace(topic, triedFurnace, "+", 1)
	writes, err := brokerlink.MayWrite(ctx, *options, c.broker.URL, topic, text)
	switch {
	case err != nil: // a broker without MQTT 5
		return fmt.Errorf("a message on %s does not come back: let this user write and read %s in the broker's access list", topic, every)
	case writes:
		return fmt.Errorf("the broker accepts a message on %s and does not deliver it: let this user read %s in the broker's access list", topic, every)
	default:
		return fmt.Errorf("the broker denies publishing on %s, which this check needs: let this user write %s in the broker's access list", topic, every)
	}
}
