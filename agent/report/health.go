package report

import (
	"context"
	"fmt"
	"maps"
	"time"

	"meltwatch/agent/message"
	"meltwatch/tick"
)

// healthEvery is the interval at which unchanged health is published.
const healthEvery = 10 * time.Second

// HealthLoop publishes health when a part's status changes, and every ten seconds, until
// ctx ends.
func (r *Reporter) HealthLoop(ctx context.Context) {
	var h Health
	for tick.Sleep(ctx, time.Second) {
		r.PublishHealth(&h)
	}
}

// Health is the last published health.
type Health struct {
	at       time.Time
	statuses map[string]string // by part
}

// PublishHealth publishes health if it is due.
func (r *Reporter) PublishHealth(last *Health) {
	r.checkStorage()
	now, parts := map[string]string{}, map[string]any{}
	for name, s := range r.Registry.Snapshot() {
		now[name], parts[name] = s.Status, s
	}
	// Half a second less, because a round may come a little early.
	if maps.Equal(last.statuses, now) && time.Since(last.at) < healthEvery-time.Second/2 {
		return
	}
	*last = Health{time.Now(), now}
	r.Output.Health(message.Health{Stamp: r.Stamper.Stamp("health", last.at), Agent: r.Version, Parts: parts})
}

// checkStorage retries to count this start of the agent until it succeeds.
func (r *Reporter) checkStorage() {
	r.storage.Beat()
	if err := r.Stamper.Save(); err != nil {
		r.storage.Fault(fmt.Errorf("paths.state: %w", err))
		return
	}
	r.storage.OK()
}
