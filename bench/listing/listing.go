// Package listing measures how long meltctl takes to list many agents, which are known by
// their retained topics alone.
package listing

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"meltwatch/agent/message"
	"meltwatch/bench/rig"
	"meltwatch/percentile"
)

// Options set the size of the measurement.
type Options struct {
	Meltctl string // the program
	Agents  int
	Rounds  int
}

// site is that of all agents.
const site = "many"

// Run lists the agents of a mosquitto, and prints how long that took. It returns an error
// if one is missing from a list.
func (o Options) Run(ctx context.Context, out io.Writer) (err error) {
	folder, err := os.MkdirTemp("", "meltwatch-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	broker, err := rig.StartMosquitto(ctx, folder)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, broker.Stop()) }()
	if err := Publish(broker.URL(), o.Agents); err != nil {
		return err
	}
	var took []time.Duration
	for range o.Rounds {
		l, err := List(ctx, o.Meltctl, broker.URL())
		if err != nil {
			return err
		}
		if l.Agents != o.Agents {
			return fmt.Errorf("meltctl listed %d of %d agents", l.Agents, o.Agents)
		}
		took = append(took, l.Took)
	}
	_, err = fmt.Fprintf(out, "`meltctl list` with %d agents in retained topics of mosquitto: %.2f s, at most %.2f s (%d rounds).\n",
		o.Agents, percentile.Of(took, 50).Seconds(), percentile.Of(took, 100).Seconds(), o.Rounds)
	return err
}

// Publish publishes the retained topics of a number of agents.
func Publish(broker string, agents int) error {
	client := paho.NewClient(paho.NewClientOptions().AddBroker(broker).SetClientID("desk").SetAutoReconnect(false))
	if c := client.Connect(); !c.WaitTimeout(time.Minute) || c.Error() != nil {
		return fmt.Errorf("publish retained topics: %w", c.Error())
	}
	defer client.Disconnect(250)
	retained, err := retainedTopics()
	if err != nil {
		return err
	}
	for i := range agents {
		root := message.Root(site, fmt.Sprintf("f%04d", i))
		for topic, payload := range retained {
			if p := client.Publish(root+topic, 1, true, payload); !p.WaitTimeout(time.Minute) || p.Error() != nil {
				return fmt.Errorf("publish retained topics: %w", p.Error())
			}
		}
	}
	return nil
}

// Listed is how many agents meltctl listed, and how long that took.
type Listed struct {
	Agents int
	Took   time.Duration
}

// List has meltctl list the agents.
func List(ctx context.Context, meltctl, broker string) (l Listed, err error) {
	began := time.Now()
	var said bytes.Buffer
	command := exec.CommandContext(ctx, meltctl, "list", site+"/*", "--broker", broker, "--wait", "20s")
	command.Stderr = &said
	out, err := command.Output()
	l.Took = time.Since(began)
	if err != nil {
		return l, fmt.Errorf("meltctl list: %w: %s", err, said.String())
	}
	for line := range bytes.Lines(out) {
		if bytes.Contains(line, []byte(site+"/f")) {
			l.Agents++
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
