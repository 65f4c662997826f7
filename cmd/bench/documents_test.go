package main

import (
	"testing"

	"meltwatch/commandline"
	"meltwatch/docs/pagestest"
)

// The parser takes every command of the pages.
func TestCommandsOfThePagesParse(t *testing.T) {
	pagestest.Parses(t, "../..", "bench", nil, nil, func(arguments []string) error {
		parser, err := commandline.Parser(commandline.Program{Name: "bench"}, &cli{})
		if err != nil {
			return err
		}
		_, err = parser.Parse(arguments)
		return err
	})
}
