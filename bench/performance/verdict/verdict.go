// Package verdict measures how soon a verdict follows the newest sample of its window, what
// the whole agent costs, and what of it is the model's.
package verdict

import (
	"context"
	"fmt"
	"time"

	"meltwatch/bench/latency"
	"meltwatch/bench/performance/figures"
	"meltwatch/bench/rig"
)

// Options are the programs.
type Options struct {
	Programs rig.Programs
	Brief    bool // a fifth of the time, to see that it works
}

const (
	watch  = 30 * time.Second
	starts = 3
	// settle fills enough of the window for the model to decide.
	settle = 25 * time.Second
)

// Measure makes one round.
func (o Options) Measure(ctx context.Context, _ int) (figures.Round, error) {
	bench := latency.Options{Programs: o.Programs, Camera: true, Watch: watch, Starts: starts, Settle: settle}
	if o.Brief {
		bench.Watch, bench.Starts, bench.Settle = watch/5, 1, 0
	}
	m, err := bench.Measure(ctx)
	if err != nil {
		return nil, err
	}
	if m.State.Count() == 0 {
		return nil, fmt.Errorf("no state arrived within %s", bench.Watch)
	}
	into := figures.Round{"model": 100 * float64(m.Decided["model"]) / float64(m.State.Count())}
	for name, timings := range map[string]*rig.Timings{
		"echo": m.Echo, "first": m.First, "first sample": m.FirstSample, "sample": m.Sample, "state": m.State, "end": m.End,
	} {
		for _, rank := range []int{50, 95, 99} {
			into[fmt.Sprintf("%s p%d", name, rank)] = float64(timings.Percentile(rank)) / float64(time.Millisecond)
		}
	}
	return into, nil
}

// Tables are what the page tells of the part.
func Tables() []figures.Table {
	row := func(what, figure, limit string, bound figures.Bound) figures.Row {
		return figures.Row{What: what, Unit: "ms", Ours: figure, Limit: limit, Bound: bound}
	}
	return []figures.Table{{
		Title: "A furnace with meter and camera",
		Text: "Measured at the subscriber, as in `bench latency --camera`: mosquitto passes a message on before it acknowledges it, so the PUBACK comes at the " +
			"same time. The limit is a message of ours through the same proxy, broker and subscriber. Telegraf makes no decision, so no peer is compared.",
		Rows: []figures.Row{
			row("newest sample of a window to its state, p50", "state p50", "echo p50", figures.Bound{}),
			row("… p95", "state p95", "echo p95", figures.AtMost(figures.Value, 15)),
			row("… p99", "state p99", "echo p99", figures.Bound{}),
			row("end of a window to its state, p50", "end p50", "echo p50", figures.Bound{}),
			row("sample to subscriber, p50", "sample p50", "echo p50", figures.Bound{}),
			row("… p99", "sample p99", "echo p99", figures.Bound{}),
			row("start to first message, p50", "first p50", "", figures.AtMost(figures.Value, 50)),
			row("start to first sample, p50", "first sample p50", "", figures.Bound{}),
			{What: "states that the model decided", Unit: "%", Ours: "model"},
		},
	}}
}
