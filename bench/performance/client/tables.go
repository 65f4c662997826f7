package client

import (
	"fmt"

	"meltwatch/bench/performance/figures"
)

// Tables are what the page tells of the part.
func Tables() []figures.Table {
	row := func(what, unit, figure string, bound figures.Bound) figures.Row {
		return figures.Row{What: what, Unit: unit, Ours: "TCP ours " + figure, Peer: "TCP library " + figure, Limit: "TCP bare " + figure, Bound: bound}
	}
	tcp := figures.Table{
		Title: "Modbus TCP",
		Text:  "A read of three currents over loopback. The peer is goburrow/modbus by itself, the limit a write and a read of a bare socket. The request's frame is the library's, and is allocated; the rest is not (`TestPollAllocatesNothingFromReplyToSample`).",
		Rows: []figures.Row{
			row("exchange, p50", "µs", "p50", figures.AtMost(figures.LimitRatio, 1.3)),
			row("… p99", "µs", "p99", figures.Bound{}),
			row("allocations an exchange, copies for the caller included", "", "allocations", figures.Bound{}),
		},
	}
	serial := figures.Table{
		Title: "Modbus RTU",
		Text: "The time from one read to the next over a pseudo-terminal, whose other end passes bytes as a serial line of 11 bits a " +
			"character would, in eights. The limit is the wire's own time: both frames, and the silence that the standard demands after each.",
	}
	for _, baud := range bauds {
		name := fmt.Sprintf("%d baud ", baud)
		serial.Rows = append(serial.Rows, figures.Row{What: fmt.Sprintf("%d baud", baud), Unit: "ms", Ours: name + "ours", Peer: name + "library", Limit: name + "bare"})
	}
	return []figures.Table{tcp, serial}
}
