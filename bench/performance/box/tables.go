package box

import (
	"fmt"

	"meltwatch/bench/performance/figures"
)

// Tables are what the page tells of the part, with many furnaces or a few.
func Tables(many bool) (tables []figures.Table) {
	for _, k := range kinds(many) {
		table := figures.Table{Title: "Furnaces with current and camera", Text: "Each furnace has an agent and two children of its own, all of them the same meter, camera and broker. " +
			"The simulator, which draws and encodes the camera's picture, and mosquitto share the machine. A verdict is missed if a second of the watch has no state that the model decided."}
		if !k.camera {
			table.Title, table.Text = "Furnaces with current alone", "As below, without a camera and its child."
		}
		if many {
			table.Title, table.Text = "Many furnaces with current alone", "Each has an agent and a model's process of its own; meter, broker and simulator share the machine. Agents start two seconds apart. A process that does not answer in time is replaced; what it had used is not counted."
		}
		for _, count := range k.counts {
			table.Rows = append(table.Rows, k.rows(count)...)
		}
		tables = append(tables, table)
	}
	return tables
}

// rows are the figures of one number of furnaces.
func (k kind) rows(count int) []figures.Row {
	name := func(figure string) string { return k.prefix(count) + figure }
	core, memory, missed := figures.Bound{}, figures.Bound{}, figures.Bound{}
	if k.camera && count == 1 {
		core, memory = figures.AtMost(figures.Value, 6), figures.AtMost(figures.Value, 350)
	}
	if k.camera {
		missed = figures.AtMost(figures.Value, 0)
	}
	number := fmt.Sprintf("%d furnaces", count)
	if count == 1 {
		number = "1 furnace"
	}
	rows := []figures.Row{
		{What: number + ": share of a core, each", Unit: "%", Ours: name("core"), Bound: core},
		{What: "… memory (PSS), each", Unit: "MB", Ours: name("PSS"), Bound: memory},
		{What: "… end of a window to its state, p50", Unit: "ms", Ours: name("p50")},
		{What: "… p99", Unit: "ms", Ours: name("p99")},
		{What: "… verdicts missed", Ours: name("missed"), Bound: missed},
		{What: "… of", Ours: name("due")},
	}
	if k.ends {
		rows = append(rows, figures.Row{What: "… processes replaced", Ours: name("replaced")})
	}
	return rows
}
