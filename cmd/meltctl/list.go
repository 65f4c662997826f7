package main

import (
	"context"
	"io"
)

type listCommand struct {
	brokerFlags
	Agents string `arg:"" default:"all" help:"Agents: all, plant-1/f07, or a pattern such as plant-1/*."`
	JSON   bool   `name:"json" help:"Print one JSON object a line: agent, availability, state, held, level, level_held, unfamiliar, model, version, faulty_parts, config, roll_out."`
}

// Run prints one line for each agent.
func (c listCommand) Run(ctx context.Context, out io.Writer) error {
	return c.fleet(out).List(ctx, c.Agents, c.JSON)
}

type watchCommand struct {
	brokerFlags
	Agents string `arg:"" default:"all" help:"Agents: all, plant-1/f07, or a pattern such as plant-1/*."`
}

// Run prints a line for each change until it is interrupted or the connection is lost.
func (c watchCommand) Run(ctx context.Context, out io.Writer) error {
	return c.fleet(out).Watch(ctx, c.Agents)
}
