package main

import (
	"errors"
	"fmt"
	"os"

	"meltwatch/simulator/contactsheet"
)

// sheetCommand is furnace-sim sheet.
type sheetCommand struct {
	Out    string `required:"" type:"path" help:"PNG file to write."`
	Houses bool   `help:"Show the other houses' pictures instead."`
}

// Run draws the contact sheet.
func (c sheetCommand) Run() (err error) {
	file, err := os.Create(c.Out)
	if err != nil {
		return fmt.Errorf("create --out: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if c.Houses {
		return contactsheet.WriteHouses(file)
	}
	return contactsheet.Write(file)
}
