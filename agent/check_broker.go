package main

import (
	"context"
	"log/slog"
	"strings"

	"meltwatch/agent/message"
	"meltwatch/agent/mqtt"
)

func (k checker) broker(ctx context.Context) (string, error) {
	c := k.settings.MQTT
	c.ClientID += "-check" // beside the agent, not in its place
	var addresses []string
	for _, b := range c.Addresses() {
		addresses = append(addresses, b.URL)
	}
	err := mqtt.Probe(ctx, c, message.Root(k.settings.Site, k.settings.Furnace), slog.New(slog.DiscardHandler))
	return strings.Join(addresses, ", "), err
}
