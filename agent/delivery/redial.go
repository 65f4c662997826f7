package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"meltwatch/agent/mqtt"
	"meltwatch/config"
	"meltwatch/retry"
)

// Redial selects the broker to dial: after a failure the next one at once, and after
// the last one the first again, after a wait that grows with each round.
type Redial struct {
	// Wait is the pause before round n; NewRedial sets it to retry.Wait.
	Wait func(n int) time.Duration

	brokers []config.NamedBroker
	at      int
	rounds  int
}

// NewRedial returns a Redial that starts at the first broker.
func NewRedial(brokers []config.NamedBroker) *Redial {
	return &Redial{Wait: retry.Wait, brokers: brokers}
}

// Broker returns the broker to dial now.
func (r *Redial) Broker() config.NamedBroker { return r.brokers[r.at] }

// Next is called after each connection or failed attempt. acked reports whether a
// message was acknowledged; lasted is the connection's duration, 0 for a failed
// attempt. It returns the wait before the next attempt. A broker that acknowledges and
// then ends the connection at once counts as failed.
func (r *Redial) Next(acked bool, lasted time.Duration) (wait time.Duration) {
	good := acked && lasted > retry.MaxWait
	switch {
	case good:
		r.at, r.rounds = 0, 0
	case r.at+1 < len(r.brokers):
		r.at++
		return 0
	default:
		r.at = 0
		r.rounds++
	}
	return r.Wait(max(r.rounds-1, 0))
}

// redial connects, serves the connection until it is lost, and repeats this.
func (p *Publisher) redial(ctx context.Context) error {
	faults := &retry.Faults{Log: p.log.With("part", "mqtt")}
	brokers := NewRedial(p.settings.Addresses())
	for {
		p.observer.Beat()
		began := time.Now()
		acked, err := p.connect(ctx, brokers.Broker(), faults)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the end was requested
		}
		p.observer.Fault(err)
		faults.Report(err)
		p.mu.Lock()
		p.redials++
		p.mu.Unlock()
		if !retry.Sleep(ctx, brokers.Next(acked, time.Since(began))) {
			return nil
		}
	}
}

// connect makes one connection and serves it. It returns whether the broker
// acknowledged anything, and why the connection ended.
func (p *Publisher) connect(ctx context.Context, broker config.NamedBroker, faults *retry.Faults) (acked bool, err error) {
	s, err := mqtt.Dial(ctx, mqtt.Options{
		Settings: p.settings, Broker: broker, ClientID: p.clientID(), Root: p.root, Will: true,
		Log: p.log, ClearedAfter: p.clearedAfter,
	})
	if err != nil {
		return false, err
	}
	faults.Over()
	before := p.Counters()["acked"]
	err = p.serve(ctx, s, broker.URL)
	if acked = p.Counters()["acked"] > before; !acked && p.settings.Retain && ctx.Err() == nil && !errors.Is(err, errNoAck) {
		err = fmt.Errorf("%w; %w", err, mqtt.ErrNoRetain)
	}
	return acked, err
}
