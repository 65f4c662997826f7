package message

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"meltwatch/config/strict"
)

// MaxCommand bounds a payload of topic command, in bytes.
const MaxCommand = 4 << 10

// Command is the payload of topic command.
type Command struct {
	// ID names the command; its result has the same. 1–64 bytes.
	ID string `json:"id"`
	// Command is acknowledge, log_level, restart, self_test or snapshot.
	Command string `json:"command"`
	// Deadline is the instant after which it must not be carried out any more, at
	// most an hour ahead.
	Deadline time.Time `json:"deadline"`
	// Part is what to restart: meters, camera, model or mqtt.
	Part string `json:"part,omitempty"`
	// Level is the log's for an hour: debug, info, warn or error.
	Level string `json:"level,omitempty"`
}

// CommandResult is the payload of command/result.
type CommandResult struct {
	Version int       `json:"v"`
	Time    time.Time `json:"time"`
	ID      string    `json:"id"`
	Command string    `json:"command"`
	// Status is done, failed or rejected; Message says why.
	Status  string `json:"status"`
	Message string `json:"message"`
	// Data is what a self_test found.
	Data any `json:"data,omitempty"`
}

// MaxCommandID bounds a command's id, in bytes.
const MaxCommandID = 64

// ParseCommand decodes a payload strictly.
func ParseCommand(payload []byte) (c Command, err error) {
	if err := strict.Decode(payload, MaxCommand, &c); err != nil {
		return Command{}, fmt.Errorf("not a command: %w; want {id, command, deadline}", err)
	}
	switch {
	case c.ID == "" || len(c.ID) > MaxCommandID:
		c.ID = strings.ToValidUTF8(c.ID[:min(len(c.ID), MaxCommandID)], "")
		return c, fmt.Errorf("id: want 1 to %d bytes", MaxCommandID)
	case c.Deadline.IsZero():
		return c, errors.New("deadline: is missing: give an instant such as 2030-01-02T15:04:05Z")
	}
	return c, nil
}
