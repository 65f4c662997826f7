package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"meltwatch/agent/health"
	"meltwatch/agent/message"
	"meltwatch/agent/remote/command"
	"meltwatch/agent/settings"
	"meltwatch/config"
)

const (
	// snapshotWidth bounds a snapshot in pixels, snapshotBytes its JPEG in bytes.
	snapshotWidth = 640
	snapshotBytes = 256 << 10
	// commandsLimit is unlimited, because the loop waits for commands and for the
	// outbox's disk, which may hang.
	commandsLimit = outboxLimit
)

// commandHandler executes commands on the agent.
type commandHandler struct{ a *Agent }

func (a *Agent) addCommands() error {
	server := command.New(func(r message.CommandResult) {
		text, err := json.Marshal(r)
		if err != nil {
			a.env.Log.Error("command/result not encoded", "err", err)
			return
		}
		a.out.Answer(message.TopicCommandResult, text)
		if r.Status != message.Rejected {
			a.reporter.Event("command", r.Command, "", r.Status, r.Message)
		}
	})
	server.Persist(a.env.Files(filepath.Join(a.config.Load().Paths.State, "remote")))
	a.out.SubscribeRetained(message.TopicCommand, func(_ string, payload []byte, retained bool) { server.Handle(payload, retained) })
	record := a.registry.Add("commands", commandsLimit)
	a.services = append(a.services, service{"commands", func(ctx context.Context) error { return server.Run(ctx, commandHandler{a}, record) }})
	return a.add("commands", func(c config.Config) any { return c.Commands }, func(c config.Config) (*instance, error) {
		return &instance{activate: func() { server.Adopt(c.Commands) }, missing: worksAtOnce}, nil
	})
}

// Acknowledge marks the alarm or suspicion as seen, and ends it if it is only held.
func (h commandHandler) Acknowledge(ctx context.Context, alarm, by string) (held bool, err error) {
	return h.a.acknowledge(ctx, alarm, by)
}

// Shelve silences the alarm or suspicion for a time.
func (h commandHandler) Shelve(alarm, by, reason string, lasts time.Duration) error {
	return h.a.shelve(alarm, by, reason, lasts)
}

// LogLevel sets the log level; "" restores the configured one.
func (h commandHandler) LogLevel(level string) {
	c := h.a.config.Load().Log
	if level != "" {
		c.Level = level
	}
	h.a.env.Level.Set(settings.LogLevel(c))
}

// Restart stops a part and starts it again.
func (h commandHandler) Restart(name string) error {
	a := h.a
	a.changing.Lock()
	defer a.changing.Unlock()
	if name == "model" {
		b := a.live.Load()
		b.child.stop()
		a.startModel(b)
		return nil
	}
	var known []string
	for _, p := range a.parts {
		if p.now.run == nil {
			continue
		}
		known = append(known, p.name)
		if p.name == name {
			p.now.stop()
			a.start(p.name, p.now)
			return nil
		}
	}
	return fmt.Errorf("part: %.64q is not one of model, %s", name, strings.Join(known, ", "))
}

// SelfTest returns the status of every part, and an error if one has a fault.
func (h commandHandler) SelfTest() (any, error) {
	parts := h.a.registry.Snapshot()
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		if p := parts[name]; p.Status != "ok" {
			faults = append(faults, fmt.Errorf("%s: %s since %s: %s", name, p.Status, p.Since.UTC().Format(time.RFC3339), p.Error))
		}
	}
	for _, name := range h.a.registry.Stuck() {
		faults = append(faults, fmt.Errorf("%s: stuck", name))
	}
	return struct {
		Parts map[string]health.Status `json:"parts"`
	}{parts}, errors.Join(faults...)
}

// Snapshot publishes the newest picture.
func (h commandHandler) Snapshot(ctx context.Context) error {
	const quality = 70
	jpeg, _, err := h.a.view(ctx, snapshotWidth, quality)
	if err != nil {
		return err
	}
	if len(jpeg) == 0 || len(jpeg) > snapshotBytes {
		return fmt.Errorf("the picture has %d bytes, want 1 to %d", len(jpeg), snapshotBytes)
	}
	h.a.out.Answer(message.TopicSnapshot, jpeg)
	return nil
}
