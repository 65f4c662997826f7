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

// round goes through the brokers, from the first: the next one at once, and from
// the beginning after a wait that grows with each round.
type round struct {
	brokers []config.NamedBroker
	at      int
	rounds  int
}

func (r *round) broker() config.NamedBroker { return r.brokers[r.at] }

// next is after a connection that ended; good says that it served its purpose.
func (r *round) next(good bool) (wait time.Duration) {
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
	return retry.Wait(max(r.rounds-1, 0))
}

// redial connects, serves the connection until it is lost, and again.
func (p *Publisher) redial(ctx context.Context) error {
	faults := &retry.Faults{Log: p.log.With("part", "mqtt")}
	brokers := round{brokers: p.settings.Addresses()}
	for {
		p.observer.Beat()
		began := time.Now()
		acked, err := p.connect(ctx, brokers.broker(), faults)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the end was asked for
		}
		p.observer.Fault(err)
		faults.Report(err)
		p.mu.Lock()
		p.redials++
		p.mu.Unlock()
		// One that acknowledges and then throws us out is no better than none.
		wait := brokers.next(acked && time.Since(began) > retry.MaxWait)
		if !retry.Sleep(ctx, wait) {
			return nil
		}
	}
}

// connect makes one connection and serves it; it returns why it ended, and
// whether the broker acknowledged anything.
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
