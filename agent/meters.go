package agent

import (
	"context"

	"meltwatch/agent/meters"
	"meltwatch/config"
	"meltwatch/drivers"
	"meltwatch/drivers/modbus"
)

// buildMeters: progress is a few good polls in a row of every meter. A single one may
// be luck if the meter answers more slowly than it is polled.
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
			return source.Run(ctx, func(s drivers.Sample) {
				if s.Missing == "" { // missing samples are counted but not published
					a.out.Sample(sample(s, a.stamper))
				}
				a.loop.Offer(s)
			})
		},
		missing: ready.Missing,
	}, nil
}
