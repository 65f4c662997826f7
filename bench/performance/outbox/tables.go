package outbox

import (
	"fmt"

	"meltwatch/bench/performance/figures"
)

// Tables are what the page tells of the part.
func Tables() []figures.Table {
	row := func(what, unit, figure string) figures.Row {
		return figures.Row{What: what, Unit: unit, Ours: "ours " + figure, Peer: "bbolt " + figure, Limit: "raw " + figure}
	}
	drain := figures.Table{
		Title: "Draining after an outage",
		Text: "History goes to a mosquitto with QoS 1, while 20 live records a second pass it. `history_rate` is the limit of its messages a second, " +
			"each of up to 20 records. The peer reads its records in order and deletes them in groups of 100, and sends them nowhere.",
	}
	for _, rate := range historyRates {
		name := fmt.Sprintf("drain %d ", rate)
		fast, prompt := figures.Bound{}, figures.AtMost(figures.Value, 5)
		if rate == 1000 {
			fast = figures.AtLeast(figures.Value, 10_000)
		}
		drain.Rows = append(drain.Rows,
			figures.Row{What: fmt.Sprintf("`history_rate: %d`: records a second", rate), Unit: "1/s", Ours: name + "speed", Peer: "bbolt drain", Bound: fast},
			figures.Row{What: "… live records meanwhile, p50", Unit: "ms", Ours: name + "live p50"},
			figures.Row{What: "… p95", Unit: "ms", Ours: name + "live p95", Bound: prompt},
		)
	}
	return []figures.Table{{
		Title: "Appending",
		Text:  "Records of current of about 300 bytes. The peer is bbolt with its default options, a transaction for each group; the limit is one write to a file and one fsync.",
		Rows: []figures.Row{
			row("in groups of 100, each synced: records a second", "1/s", "grouped"),
			row("… a group, p99", "ms", "grouped p99"),
			row("… bytes written to disk for a record", "B", "grouped written"),
			row("one by one, each synced: records a second", "1/s", "single"),
			row("… a record, p99", "ms", "single p99"),
			row("… bytes written to disk for a record", "B", "single written"),
		},
	}, drain}
}
