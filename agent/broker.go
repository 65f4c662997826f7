package agent

import (
	"slices"

	"meltwatch/agent/delivery"
	"meltwatch/agent/message"
	"meltwatch/config"
)

func brokerSection(c config.Config) any {
	return struct {
		mqtt   config.MQTT
		outbox config.Outbox
	}{c.MQTT, c.Outbox}
}

// buildBroker: progress is a PUBACK. A connection to another broker opens beside
// the one that serves; two to one broker under one client id would end each
// other, so there the old one ends first.
func (a *Agent) buildBroker(c config.Config) (*instance, error) {
	record := a.registry.New(mqttLimit)
	deferred := delivery.NewDeferred()
	publisher := delivery.New(c.MQTT, message.Root(c.Site, c.Furnace), a.stamper, deferred, a.env.Log, record)
	a.out.Configure(publisher)
	return &instance{
		overlap:  !sameBroker(c.MQTT, a.config.Load().MQTT),
		activate: func() { a.registry.Put("mqtt", record); a.out.Activate(publisher) },
		run:      publisher.Run,
		takeOver: func() {
			deferred.Open(a.outboxFor(c))
			// Two URLs may lead to one broker, where the connection that has just
			// ended said that the agent is offline.
			publisher.Retain(message.TopicAvailability, []byte(message.Online))
		},
		discard: func() { deferred.Open(delivery.NewMemory(1)) }, // it was given no record
		missing: func() error {
			if publisher.Counters()["acked"] > 0 {
				return nil
			}
			cause := record.LastFault()
			if cause == nil {
				cause = errNothingYet
			}
			return config.KeyErrorf("mqtt.broker", "nothing acknowledged: %w", cause)
		},
	}, nil
}

// sameBroker reports whether two connections would meet at one broker.
func sameBroker(a, b config.MQTT) bool { return slices.Equal(a.Addresses(), b.Addresses()) }
