package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	paho "github.com/eclipse/paho.mqtt.golang"

	"meltwatch/agent/message"
	"meltwatch/bench/rig"
)

// wills counts agents that freeze: those that the cluster then calls offline, and those
// that are online again afterwards.
type wills struct{ agents, offline, online int }

// takeAway freezes the connections of a few agents, which neither close nor answer.
func (t *trial) takeAway(ctx context.Context, folder string) (w wills, err error) {
	w.agents = min(10, t.Agents)
	link, err := rig.StartLink(t.servers.nodes[0].mqtt)
	if err != nil {
		return w, fmt.Errorf("proxy: %w", err)
	}
	defer link.Stop()
	frozen, err := startFleet(ctx, "frozen", w.agents, []string{link.Listen}, folder)
	if err != nil {
		return w, err
	}
	defer frozen.stop()
	defer close(frozen.quiet)
	t.historian.watch(frozen)
	if w.online, err = t.await(ctx, frozen, "online"); err != nil || w.online < w.agents {
		return w, errors.Join(err, errIncomplete)
	}
	if err := freeze(link); err != nil {
		return w, err
	}
	if w.offline, err = t.await(ctx, frozen, "offline"); err != nil {
		return w, err
	}
	for _, name := range toxics {
		if err := link.Toxics.RemoveToxic(ctx, name); err != nil {
			return w, fmt.Errorf("proxy: %w", err)
		}
	}
	w.online, err = t.await(ctx, frozen, "online")
	return w, err
}

var toxics = []string{"upstream", "downstream"}

// freeze stops all data of a proxy and closes nothing.
func freeze(link *toxiproxy.Proxy) error {
	for _, way := range toxics {
		text := fmt.Sprintf(`{"name": %q, "type": "timeout", "stream": %q, "attributes": {"timeout": 0}}`, way, way)
		if _, err := link.Toxics.AddToxicJson(strings.NewReader(text)); err != nil {
			return fmt.Errorf("proxy: %w", err)
		}
	}
	return nil
}

// await waits until all furnaces have an availability, for as long as a promise, and returns
// how many have it.
func (t *trial) await(ctx context.Context, f *fleet, availability string) (have int, err error) {
	for deadline := time.Now().Add(reconnected); ; {
		have = 0
		for _, one := range f.furnaces {
			if t.historian.availability(one.root) == availability {
				have++
			}
		}
		if have == len(f.furnaces) || time.Now().After(deadline) {
			return have, nil
		}
		if err := rig.Pause(ctx, 100*time.Millisecond); err != nil {
			return have, err
		}
	}
}

// lists is how many agents meltctl listed, and how long that took.
type lists struct {
	lines int
	took  time.Duration
}

// list publishes the retained topics of many agents and has meltctl list them.
func (t *trial) list(ctx context.Context) (l lists, err error) {
	broker := "tcp://" + t.servers.nodes[1].mqtt
	client := paho.NewClient(paho.NewClientOptions().AddBroker(broker).SetClientID("desk").SetAutoReconnect(false))
	if c := client.Connect(); !c.WaitTimeout(time.Minute) || c.Error() != nil {
		return l, fmt.Errorf("publish retained topics: %w", c.Error())
	}
	defer client.Disconnect(250)
	retained, err := retainedTopics()
	if err != nil {
		return l, err
	}
	for i := range t.Listed {
		root := message.Root("many", fmt.Sprintf("f%04d", i))
		for topic, payload := range retained {
			if p := client.Publish(root+topic, 1, true, payload); !p.WaitTimeout(time.Minute) || p.Error() != nil {
				return l, fmt.Errorf("publish retained topics: %w", p.Error())
			}
		}
	}
	began := time.Now()
	var said bytes.Buffer
	command := exec.CommandContext(ctx, t.Meltctl, "list", "many/*", "--broker", broker, "--wait", "20s")
	command.Stderr = &said
	out, err := command.Output()
	l.took = time.Since(began)
	if err != nil {
		return l, fmt.Errorf("meltctl list: %w: %s", err, said.String())
	}
	for line := range bytes.Lines(out) {
		if bytes.Contains(line, []byte("many/f")) {
			l.lines++
		}
	}
	return l, nil
}

// retainedTopics are what an agent keeps at a broker, by the end of the topic.
func retainedTopics() (map[string][]byte, error) {
	at := time.Now().UTC()
	topics := map[string][]byte{message.TopicAvailability: []byte("online")}
	for topic, value := range map[string]any{
		message.TopicState:          message.State{Stamp: message.Stamp{Boot: 1, Seq: 1, Time: at}, State: "normal", Since: at, Source: "model"},
		message.TopicHealth:         message.Health{Stamp: message.Stamp{Boot: 1, Seq: 1, Time: at}},
		message.TopicConfigReported: message.ConfigReport{Status: message.Applied},
	} {
		text, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		topics[topic] = text
	}
	return topics, nil
}
