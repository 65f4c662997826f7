package check

import (
	"context"
	"sync"

	"meltwatch/agent/message"
	"meltwatch/agent/mqtt"
)

// tryBroker asks every broker at the same time whether this user may publish and
// subscribe.
func tryBroker(ctx context.Context, k *checker) outcome {
	c := k.config.MQTT
	c.ClientID += "-check" // the agent's id would disconnect a running agent
	brokers := c.Addresses()
	found := make([]outcome, len(brokers))
	var running sync.WaitGroup
	for i, broker := range brokers {
		running.Go(func() {
			key := "mqtt.broker"
			if broker.Name != "" {
				key = "mqtt.brokers." + broker.Name + ".url"
			}
			found[i] = from(broker.URL+" takes and returns a message", mqtt.Probe(ctx, c, broker, message.Root(k.config.Site, k.config.Furnace), discard()))
			for j, line := range found[i].lines {
				if line.Status == Fail && line.Key == "" {
					found[i].lines[j].Key = key
				}
			}
		})
	}
	running.Wait()
	var all outcome
	for _, o := range found {
		all.lines = append(all.lines, o.lines...)
	}
	return all
}
