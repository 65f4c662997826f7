package main

import (
	"io"

	"meltwatch/fleet"
)

type provisionCommand struct {
	Template string `required:"" type:"existingfile" help:"Configuration with {{.site}}, {{.furnace}}, {{.user}} (the box at the broker) and any other member of the list, as {{.name}}."`
	List     string `required:"" type:"existingfile" help:"YAML: boxes, a list of {site, furnace, …}."`
	Out      string `required:"" help:"Folder to write to."`
}

// Run writes the files.
func (c provisionCommand) Run(out io.Writer) error {
	return fleet.Provision(out, c.Template, c.List, c.Out)
}
