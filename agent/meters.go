package agent

import (
	"context"

	"meltwatch/agent/meters"
	"meltwatch/config"
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
