package check

import (
	"context"
	"log/slog"
	"strings"

	"meltwatch/agent/message"
	"meltwatch/agent/mqtt"
)

func (c checker) broker(ctx context.Context) (string, error) {
	settings := c.config.MQTT
	settings.ClientID += "-check" // the agent's id would disconnect a running agent
	var addresses []string
	for _, b := range settings.Addresses() {
		addresses = append(addresses, b.URL)
	}
	err := mqtt.Probe(ctx, settings, message.Root(c.config.Site, c.config.Furnace), slog.New(slog.DiscardHandler))
	return strings.Join(addresses, ", "), err
}
