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

// buildBroker builds the connection to the broker. Progress is a PUBACK. A connection
// to another broker overlaps the old one. Two connections to one broker under one
// client id would end each other, so in that case the old one ends first.
func (a *Agent) buildBroker(c config.Config) (*instance, error) {
	record := a.registry.New(mqttLimit)
	deferred := delivery.NewDeferred()
	publisher := delivery.New(c.MQTT, message.Root(c.Site, c.Furnace), a.stamper, deferred, a.env.Log, record)
	publisher.Trace = a.env.Trace
	a.out.Configure(publisher)
	return &instance{
		overlap:  !sameBroker(c.MQTT, a.config.Load().MQTT),
		activate: func() { a.registry.Put("mqtt", record); a.out.Activate(publisher) },
		run:      publisher.Run,
		takeOver: func() {
			deferred.Open(a.outboxFor(c))
			// Two URLs may lead to one broker, on which the connection that has just
			// ended has published offline.
			publisher.Retain(message.TopicAvailability, []byte(message.Online))
		},
		discard: func() { deferred.Open(delivery.NewMemory(1)) }, // it has no record
		missing: func() error {
			if publisher.Counters()["acked"] > 0 {
				return nil
			}
			cause := record.LastFault()
			if cause == nil {
				cause = errNothingYet
			}
			return config.KeyErrorf("mqtt.broker", "no message was acknowledged: %w", cause)
		},
	}, nil
}

// sameBroker reports whether two configurations name the same brokers.
func sameBroker(a, b config.MQTT) bool { return slices.Equal(a.Addresses(), b.Addresses()) }
