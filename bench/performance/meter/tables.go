package meter

import (
	"fmt"

	"meltwatch/bench/performance/figures"
)

// Tables are what the page tells of the part.
func Tables() (tables []figures.Table) {
	for _, r := range rates() {
		tables = append(tables, r.table())
	}
	tables = append(tables, figures.Table{
		Title: fmt.Sprintf("%d Hz, Telegraf with its defaults", usualRate),
		Text: "The peer above is Telegraf 1.34.4 at its fastest, `metric_batch_size = 1`, which sends each reading at once whatever `flush_interval` is. With its " +
			"defaults (`metric_batch_size = 1000`, `flush_interval = \"10s\"`) it waits for a batch, and publishes it in one go.",
		Rows: usualRows(),
	})
	return tables
}

func (r rate) table() figures.Table {
	name := func(sender string) func(figure string) string {
		return func(figure string) string { return fmt.Sprintf("%d %s %s", r.hertz, sender, figure) }
	}
	ours, peer, limit := name(agent), name(fastest), name(bareName)
	row := func(what, unit, figure string, bound figures.Bound) figures.Row {
		return figures.Row{What: what, Unit: unit, Ours: ours(figure), Peer: peer(figure), Limit: limit(figure), Bound: bound}
	}
	quick, cost, share, jitter := figures.Bound{}, figures.Bound{}, figures.Bound{}, figures.Bound{}
	if r.hertz <= 10 {
		quick = figures.AtMost(figures.PeerRatio, 0.7)
	}
	if r.hertz == 2 {
		share = figures.AtMost(figures.Value, 1)
	}
	if r.hertz == 10 {
		cost = figures.AtMost(figures.PeerRatio, 0.8)
		jitter = figures.AtMost(figures.Value, 1.5)
	}
	return figures.Table{
		Title: fmt.Sprintf("%d Hz", r.hertz),
		Text: fmt.Sprintf("From the meter's reply to the subscriber's message, for %s. The same Modbus server, mosquitto and subscriber serve the agent, "+
			"Telegraf and the limit in turn. The agent decides once a second, and records nothing (`bench cost` tells what the recorder costs). The limit is a program that reads one socket, writes to another, and waits for the PUBACK.", r.watch),
		Rows: []figures.Row{
			row("reply to subscriber, p50", "ms", "p50", quick),
			row("… p95", "ms", "p95", figures.Bound{}),
			row("… p99", "ms", "p99", quick),
			row("jitter of arrival, p99", "ms", "jitter", jitter),
			row("processor a poll", "µs", "CPU", cost),
			row("… the model's process included", "µs", "CPU with children", cost),
			row("turns on the processor a poll", "", "turns", figures.Bound{}),
			row("share of a core, the model's process included", "%", "core", share),
			row("resident memory (RSS)", "MB", "RSS", figures.AtMost(figures.PeerRatio, 1)),
			row("proportional memory (PSS)", "MB", "PSS", figures.Bound{}),
			row("start to first message", "ms", "first", figures.AtMost(figures.Value, 50)),
			row("start to first sample", "ms", "first sample", figures.Bound{}),
			row("samples that arrived, of the polls", "", "arrived", figures.Bound{}),
			row("polls", "", "polls", figures.Bound{}),
			row("written to disk", "kB", "written", figures.AtMost(figures.Value, 0)),
		},
	}
}

// usualRows compare with Telegraf's defaults.
func usualRows() (rows []figures.Row) {
	for _, figure := range []struct{ what, unit, name string }{
		{"reply to subscriber, p50", "ms", "p50"}, {"… p99", "ms", "p99"}, {"processor a poll", "µs", "CPU"}, {"resident memory (RSS)", "MB", "RSS"},
	} {
		name := func(sender string) string { return fmt.Sprintf("%d %s %s", usualRate, sender, figure.name) }
		rows = append(rows, figures.Row{What: figure.what, Unit: figure.unit, Ours: name(agent), Peer: name(usual)})
	}
	return rows
}
