package main

import (
	"context"
	"fmt"
	"io"
	"net"
)

type dashCommand struct {
	brokerFlags
	Listen string `default:"127.0.0.1:8481" placeholder:"ADDRESS" help:"Address and port on this machine (${default})."`
}

// Help is printed below the command's flags.
func (dashCommand) Help() string {
	return `All furnaces that the broker knows on one page, alarms first, each one click from its details. It shows the broker's
retained topics and keeps nothing. It has no log-in, so it listens on this machine only.

Example: meltctl dash --broker ssl://192.0.2.12:8883 --username reader --password-file reader.txt`
}

// Run serves the page until ctx ends.
func (c dashCommand) Run(ctx context.Context, out io.Writer) error {
	return c.fleet(out).Dash(ctx, c.Listen, func(a net.Addr) {
		_, _ = fmt.Fprintf(out, "http://%s\n", a) // the page works without the line too
	})
}
