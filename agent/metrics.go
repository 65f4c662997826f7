package agent

import (
	"meltwatch/agent/metrics"
	"meltwatch/config"
)

// buildMetrics builds the HTTP server of the metrics. Progress is an open listener.
func (a *Agent) buildMetrics(c config.Config) (*instance, error) {
	if c.Metrics.Listen == "" {
		return &instance{activate: func() { a.registry.Remove("metrics") }, missing: worksAtOnce}, nil
	}
	record := a.registry.New(metricsLimit)
	server := &metrics.Server{
		Address: c.Metrics.Listen, Log: a.log("metrics"), Observer: record,
		Source: metrics.Source{
			Version: a.env.Version, Health: a.registry.Snapshot, Stuck: a.registry.Stuck, State: a.reporter.Newest,
			Thresholds: a.thresholds,
		},
	}
	return &instance{
		activate: func() { a.registry.Put("metrics", record) },
		run:      server.Run,
		missing: func() error {
			if record.Status().Status == "ok" {
				return nil
			}
			if err := record.LastFault(); err != nil {
				return err
			}
			return errNothingYet
		},
	}, nil
}
