package main

import (
	"testing"

	"meltwatch/commandline"
	"meltwatch/docs/pagestest"

	"github.com/alecthomas/kong"
)

// The parser takes every command of the pages.
func TestCommandsOfThePagesParse(t *testing.T) {
	pagestest.Parses(t, "../..", "furnace-sim", nil, nil, func(arguments []string) error {
		parser, err := commandline.Parser(commandline.Program{Name: "furnace-sim", Options: []kong.Option{variables()}}, &cli{})
		if err != nil {
			return err
		}
		_, err = parser.Parse(arguments)
		return err
	})
}
