package main

import (
	"testing"

	"meltwatch/commandline"
	"meltwatch/docs/pagestest"
)

// The parser takes every command of the pages.
func TestCommandsOfThePagesParse(t *testing.T) {
	files := []string{"patch.json", "desk.key", "furnace.model", "box.yaml", "boxes.yaml"}
	pagestest.Parses(t, "../..", "meltctl", files, nil, func(arguments []string) error {
		parser, err := commandline.Parser(program(), &commands{})
		if err != nil {
			return err
		}
		_, err = parser.Parse(arguments)
		return err
	})
}
