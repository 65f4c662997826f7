package check

import (
	"context"
	"log/slog"
	"strings"

	"meltwatch/agent/message"
	"meltwatch/agent/mqtt"
)

func (k checker) broker(ctx context.Context) (string, error) {
	c := k.config.MQTT
	c.ClientID += "-check" // the agent's id would disconnect a running agent
	var addresses []string
	for _, b := range c.Addresses() {
		addresses = append(addresses, b.URL)
	}
	err := mqtt.Probe(ctx, c, message.Root(k.config.Site, k.config.Furnace), slog.New(slog.DiscardHandler))
	return strings.Join(addresses, ", "), err
}
