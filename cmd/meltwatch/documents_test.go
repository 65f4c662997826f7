package main

import (
	"testing"

	"meltwatch/commandline"
	"meltwatch/docs/pagestest"
)

// The parser takes every command of the pages.
func TestCommandsOfThePagesParse(t *testing.T) {
	files := []string{"models/own/", "inference/models/product/", "FOLDER/", "furnace.model", "desk.key"}
	pagestest.Parses(t, "../..", "meltwatch", files, map[string]string{
		"meltwatch --man":          "prints the manual page and ends the process; package commandline tests it",
		"meltwatch COMMAND --help": "stands for each command",
		"meltwatch config 1":       "the first line of a signed text, not a command",
		"meltwatch model 1":        "the first line of a signed text, not a command",
		"meltwatch schema NAME":    "stands for each schema",
	}, func(arguments []string) error {
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
