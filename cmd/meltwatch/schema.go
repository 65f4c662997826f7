package main

import (
	"strings"

	"github.com/alecthomas/kong"

	"meltwatch/docs/schemas"
)

type schemaCommand struct {
	Name string `arg:"" enum:"${schemas}" help:"One of ${schema_list}: config, or a topic with - in place of /."`
}

// Help is printed below the command's flags.
func (schemaCommand) Help() string {
	return `An editor with a YAML language server completes and checks a configuration by its schema.

Examples:
  meltwatch schema config > meltwatch.schema.json
  meltwatch schema state`
}

// schemaVars are the names of the schemas, for the parser.
func schemaVars() kong.Vars {
	return kong.Vars{"schemas": strings.Join(schemas.Names(), ","), "schema_list": strings.Join(schemas.Names(), ", ")}
}

// Run prints the schema.
func (c schemaCommand) Run(o outside) error {
	text, err := schemas.Of(c.Name)
	if err != nil {
		return err
	}
	_, err = o.out.Write(text)
	return err
}
