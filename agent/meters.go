package agent

import (
	"context"
	"runtime"

	"meltwatch/agent/message"
	"meltwatch/agent/meters"
	"meltwatch/config"
	"meltwatch/drivers"
	"meltwatch/drivers/modbus"
)

// buildMeters builds the source of the meters. Progress is a few good polls in a row of
// every meter: a single one may be chance if the meter answers more slowly than it is
// polled.
func (a *Agent) buildMeters(c config.Config) (*instance, error) {
	record := a.registry.New(meterLimit)
	monitor, ready := meters.NewMonitor(record), meters.NewReadiness(c.Meters)
	source, err := modbus.New(c.Meters, a.log("meters"), func(r modbus.Report) {
		monitor.Note(r)
		ready.Note(r)
	})
	if err != nil {
		return nil, err
	}
	return &instance{
		activate: func() { a.registry.Put("meters", record) },
		run: func(ctx context.Context) error {
			return source.Run(ctx, a.sample)
		},
		missing: ready.Missing,
	}, nil
}

// sample publishes a sample and hands it to the decision.
func (a *Agent) sample(s drivers.Sample) {
	if s.Missing == "" { // missing samples are counted but not published
		stamped := a.stamped(s)
		a.out.Sample(stamped)
		// The publisher may send it before anything else is done with it, and before the second
		// is decided that waits for it.
		runtime.Gosched()
		a.page.Sample(stamped.Time, s)
	}
	if r := a.recorder.Load(); r != nil {
		r.Sample(s)
	}
	a.loop.Offer(s)
}

func (a *Agent) stamped(s drivers.Sample) message.Sample {
	return message.Sample{
		Stamp: a.stamper.Stamp(string(message.ClassCurrent), s.Time),
		A:     s.Current[0], B: s.Current[1], C: s.Current[2], SetPoint: s.SetPoint,
		Feeding: s.Bits&drivers.Feeding != 0, Exhaust: s.Bits&drivers.Exhaust != 0, Manual: s.Bits&drivers.Manual != 0,
		UncertaintyMS: float64(s.Uncertainty.Microseconds()) / 1000,
	}
}
