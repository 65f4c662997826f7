package rig

import (
	"context"
	"fmt"
	"strconv"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"meltwatch/simulator/broker"
)

// EchoTimes publishes a small message through the agent's proxy four times a second and
// times its arrival at a subscriber of the broker, until d has passed: what no agent can be
// quicker than.
func (p *Plant) EchoTimes(ctx context.Context, d time.Duration) (*Timings, error) {
	const topic, every = "bench/echo", 250 * time.Millisecond
	times := &Timings{}
	subscriber, err := broker.Subscribe(p.Broker.URL(), "bench-echo", topic, func(_ string, payload []byte) {
		if sent, err := strconv.ParseInt(string(payload), 10, 64); err == nil {
			times.Add(time.Since(time.Unix(0, sent)))
		}
	})
	if err != nil {
		return times, err
	}
	defer subscriber.Disconnect(100)
	sender := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + p.Link.Listen).SetClientID("bench-sender").SetAutoReconnect(false))
	if token := sender.Connect(); !token.WaitTimeout(10*time.Second) || token.Error() != nil {
		return times, fmt.Errorf("connect to %s: %w", p.Link.Listen, token.Error())
	}
	defer sender.Disconnect(100)
	for end := time.Now().Add(d); time.Now().Before(end); {
		sender.Publish(topic, 1, false, strconv.FormatInt(time.Now().UnixNano(), 10))
		if err := Pause(ctx, every); err != nil {
			return times, err
		}
	}
	return times, nil
}
