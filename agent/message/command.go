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
	// ID identifies the command and its result. 1–64 bytes.
	ID string `json:"id"`
	// Command is acknowledge, log_level, restart, self_test or snapshot.
	Command string `json:"command"`
	// Deadline is the instant after which the command must not be executed, at most an
	// hour ahead.
	Deadline time.Time `json:"deadline"`
	// Part is the part to restart: meters, camera, model or mqtt.
	Part string `json:"part,omitempty"`
	// Level is the log level for the next hour: debug, info, warn or error.
	Level string `json:"level,omitempty"`
	// Alarm is the id of the alarm that is meant; without it, the one that is active when
	// the command is carried out.
	Alarm string `json:"alarm,omitempty"`
	// By is who acknowledges or shelves an alarm; Reason why, and Minutes for how long it
	// is shelved.
	By      string `json:"by,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Minutes int    `json:"minutes,omitempty"`
}

// CommandResult is the payload of command/result.
type CommandResult struct {
	Version int       `json:"v"`
	Time    time.Time `json:"time"`
	ID      string    `json:"id"`
	Command string    `json:"command"`
	// Status is done, failed or rejected; Message is the reason.
	Status  string `json:"status"`
	Message string `json:"message"`
	// Data is the result of a self_test.
	Data any `json:"data,omitempty"`
}

// CommandRepeated is the message of a result that rejects a command because its id was
// received before. A sender that repeats a command without an answer gets it if only the
// answer was lost or is still to come.
const CommandRepeated = "id: is already used; a command is executed once"

// MaxCommandID bounds a command's id, in bytes.
const MaxCommandID = 64

// ParseCommand decodes a payload strictly.
func ParseCommand(payload []byte) (c Command, err error) {
	if err := strict.Decode(payload, MaxCommand, &c); err != nil {
		return Command{}, fmt.Errorf("invalid command: %w; want {id, command, deadline}", err)
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
