package main

import (
	"context"
	"io"
	"time"

	"meltwatch/fleet"
)

type modelCommand struct {
	Push  modelPush  `cmd:"" help:"Roll a signed package out."`
	Reset modelReset `cmd:"" help:"Have the agents go back to the models of their own boxes."`
}

type modelPush struct {
	brokerFlags
	stageFlags
	Agents       string        `arg:"" help:"Agents: all, plant-1/f07, or a pattern such as plant-1/*."`
	Package      string        `arg:"" type:"existingfile" help:"Package; its signature lies beside it as PACKAGE.sig."`
	URL          string        `name:"url" help:"Where the agents find the package, https://… or file:///…; by chunks through the broker otherwise."`
	Shadow       time.Duration `default:"2m" help:"How long it shadows the live model."`
	Observe      time.Duration `default:"1m" help:"How long it may still be sent back after the switch."`
	Revision     int64         `help:"Revision of the document; by default the one after the last that the broker reports."`
	MinAgreement float64       `help:"Least share of the shadow's seconds in which both models agree."`
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

// Run clears what is wanted.
func (c modelReset) Run(ctx context.Context, out io.Writer) error {
	return c.fleet(out).ResetModel(ctx, c.Agents, fleet.Stages(c.stageFlags))
}
