package rig

import (
	"log/slog"
	"path/filepath"

	"meltwatch/agent/delivery"
	"meltwatch/agent/outbox"
	"meltwatch/agent/stamp"
	"meltwatch/config"
	"meltwatch/durable"
)

// NewSender returns the agent's stamper and publisher with their outbox in folder, which
// drops nothing. They are what an agent sends with, without its senses and its decision.
func NewSender(folder string, settings config.MQTT, root string) (*delivery.Publisher, *stamp.Stamper, error) {
	stamper, err := stamp.OnHost(folder)
	if err != nil {
		return nil, nil, err
	}
	log := slog.New(slog.DiscardHandler)
	kept, err := outbox.Open(durable.Folder(filepath.Join(folder, "outbox")), Ample(), log, Silent{}, nil)
	if err != nil {
		return nil, nil, err
	}
	return delivery.New(settings, root, stamper, kept, log, Silent{}), stamper, nil
}
