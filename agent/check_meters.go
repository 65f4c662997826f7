package main

import (
	"context"
	"fmt"
	"log/slog"

	"meltwatch/drivers"
	"meltwatch/drivers/modbus"
)

func (k checker) meters(ctx context.Context) (string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var last error
	source, err := modbus.New(k.settings.Meters, slog.New(slog.DiscardHandler), func(r modbus.Report) {
		if r.Err != nil {
			last = fmt.Errorf("%s: %w", r.Meter, r.Err)
		}
	})
	if err != nil {
		return "", err
	}
	var first *drivers.Sample
	err = source.Run(ctx, func(s drivers.Sample) { first = &s; cancel() })
	switch {
	case err != nil:
		return "", err
	case first != nil:
		return fmt.Sprintf("%.0f %.0f %.0f A, set-point %.0f A", first.Current[0], first.Current[1], first.Current[2], first.SetPoint), nil
	case last != nil:
		return "", last
	default:
		return "", fmt.Errorf("no sample within %s", k.timeout)
	}
}
