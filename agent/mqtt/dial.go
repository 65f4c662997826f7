package mqtt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"meltwatch/agent/message"
	"meltwatch/config"
	"meltwatch/config/credential"
	"meltwatch/retry"
)

const (
	dialTimeout  = 5 * time.Second
	writeTimeout = 10 * time.Second
)

// round goes through the brokers, from the first: the next one at once, and from
// the beginning after a wait that grows with each round.
type round struct {
	brokers []config.Named
	at      int
	rounds  int
}

func (r *round) broker() config.Named { return r.brokers[r.at] }

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
		wait := brokers.next(acked && time.Since(began) > retry.Longest)
		if !retry.Sleep(ctx, wait) {
			return nil
		}
	}
}

// connect makes one connection and serves it; it returns why it ended, and
// whether the broker acknowledged anything.
func (p *Publisher) connect(ctx context.Context, broker config.Named, faults *retry.Faults) (acked bool, err error) {
	s := newSession(p, broker)
	if err := s.dial(ctx, p.clientID()); err != nil {
		return false, err
	}
	faults.Over()
	before := p.Counters()["acked"]
	err = s.serve(ctx)
	if acked = p.Counters()["acked"] > before; !acked && p.settings.Retain && ctx.Err() == nil && !errors.Is(err, errNoAck) {
		err = fmt.Errorf("%w; %w", err, errNoRetain)
	}
	return acked, err
}

// Try connects to each broker once, sees whether what is published there comes
// back, says OK to the observer when all did, and leaves. Nothing stays at the broker.
// Its client id must not be the agent's own, or the broker would throw that out.
func Try(ctx context.Context, settings config.MQTT, root string, log *slog.Logger, observer Observer) error {
	p := New(settings, root, nil, NewMemory(1), log, observer)
	var faults []error
	for _, broker := range settings.Addresses() {
		s := newSession(p, broker)
		s.trial = true
		if err := s.dial(ctx, settings.ClientID); err != nil {
			faults = append(faults, err)
			continue
		}
		if err := s.probe(ctx); err != nil {
			faults = append(faults, err)
		}
		s.client.Disconnect(0)
	}
	if err := errors.Join(faults...); err != nil {
		return err
	}
	observer.OK()
	return nil
}

// dial makes the connection.
func (s *session) dial(ctx context.Context, clientID string) error {
	options, err := s.options(clientID) //nolint:contextcheck // paho hands its dialling no context; a timeout bounds it
	if err != nil {
		return err
	}
	s.client = paho.NewClient(options)
	token := s.client.Connect()
	select {
	case <-token.Done():
	case <-ctx.Done():
		s.client.Disconnect(0)
		return fmt.Errorf("connect to %s: %w", s, ctx.Err())
	}
	if err := token.Error(); err != nil {
		err = fmt.Errorf("connect to %s: %w", s, err)
		if s.publisher.settings.Retain && strings.HasSuffix(err.Error(), "EOF") {
			err = fmt.Errorf("%w; %w", err, errNoRetain) // the will is retained too
		}
		return err
	}
	return nil
}

// options reads every secret and certificate anew: what was renewed since the
// last connection counts from this one on.
func (s *session) options(clientID string) (*paho.ClientOptions, error) {
	c := s.publisher.settings
	o := paho.NewClientOptions().
		AddBroker(s.broker.URL).
		SetClientID(clientID).
		SetCleanSession(true).
		SetAutoReconnect(false).
		SetConnectRetry(false).
		SetOrderMatters(true). // else each message has a goroutine, and an older document may come last
		SetConnectTimeout(dialTimeout).
		SetWriteTimeout(writeTimeout).
		SetKeepAlive(c.KeepAlive).
		SetPingTimeout(c.KeepAlive / 2).
		SetProtocolVersion(4).
		SetStore(s.ledger).
		SetCustomOpenConnectionFn(openBounded(s.publisher.log)).
		SetConnectionLostHandler(func(_ paho.Client, err error) { s.lost <- err })
	if !s.trial { // whose end says nothing of the agent
		o.SetWill(s.publisher.root+message.TopicAvailability, message.Offline, 1, c.Retain)
	}
	if c.Username != "" {
		o.SetUsername(c.Username)
	}
	if c.PasswordFile != "" {
		password, err := credential.Read(c.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("mqtt.password_file: %w", err)
		}
		o.SetPassword(password)
	}
	tls, err := credential.TLS(c.CAFile, c.CertFile, c.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("mqtt.%w", err)
	}
	return o.SetTLSConfig(tls), nil
}
