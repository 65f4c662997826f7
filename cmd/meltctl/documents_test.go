package main

import (
	"testing"

	"meltwatch/commandline"
	"meltwatch/docs/pagestest"
)

// The parser takes every command of the pages.
func TestCommandsOfThePagesParse(t *testing.T) {
	t.Setenv("USER", "desk") // of a person's shell
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

// Each command stands in a page.
func TestPagesNameEachCommand(t *testing.T) {
	parser, err := commandline.Parser(program(), &commands{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, leaf := range parser.Model.Leaves(true) {
		names = append(names, leaf.FullPath())
	}
	pagestest.Names(t, "../..", names)
}
