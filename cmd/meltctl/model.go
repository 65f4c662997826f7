package main

import (
	"context"
	"io"
	"time"

	"meltwatch/fleet"
)

type modelCommand struct {
	Push  modelPush  `cmd:"" help:"Roll out a signed package."`
	Reset modelReset `cmd:"" help:"Return the agents to the models of their own boxes."`
}

type modelPush struct {
	brokerFlags
	stageFlags
	Agents       string        `arg:"" help:"Agents: all, plant-1/f07, or a pattern such as plant-1/*."`
	Package      string        `arg:"" type:"existingfile" help:"Package; its signature lies beside it as PACKAGE.sig."`
	URL          string        `name:"url" help:"Where the agents find the package, https://… or file:///…; chunks through the broker otherwise."`
	Shadow       time.Duration `default:"2m" help:"How long the new model shadows the live one."`
	Observe      time.Duration `default:"1m" help:"How long the switch may still be rolled back."`
	Revision     int64         `help:"Revision of the document; the one after the last by default."`
	MinAgreement float64       `help:"Least share of the shadow seconds in which both models must agree."`
}

// Run rolls the package out stage by stage.
func (c modelPush) Run(ctx context.Context, out io.Writer) error {
	return c.fleet(out).PushModel(ctx, c.Agents, fleet.RollOut{
		Stages: fleet.Stages(c.stageFlags), Package: c.Package, URL: c.URL,
		Shadow: c.Shadow, Observe: c.Observe, Revision: c.Revision, MinAgreement: c.MinAgreement,
	})
}

type modelReset struct {
	brokerFlags
	stageFlags
	Agents string `arg:"" help:"Agents: all, plant-1/f07, or a pattern such as plant-1/*."`
}

// Run clears the desired model.
func (c modelReset) Run(ctx context.Context, out io.Writer) error {
	return c.fleet(out).ResetModel(ctx, c.Agents, fleet.Stages(c.stageFlags))
}
