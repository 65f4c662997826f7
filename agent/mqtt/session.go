package mqtt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"meltwatch/config"
	"meltwatch/retry"

	paho "github.com/eclipse/paho.mqtt.golang"
)

const (
	dialTimeout  = 5 * time.Second
	writeTimeout = 10 * time.Second
	// idle is how often a connection with nothing to send looks after itself.
	idle    = 500 * time.Millisecond
	goodbye = 500 * time.Millisecond
)

// redial connects, serves the connection until it is lost, and again.
func (p *Publisher) redial(ctx context.Context) error {
	faults := &retry.Faults{Log: p.log.With("part", "mqtt")}
	for try := 0; ; try++ {
		p.observer.Beat()
		began := time.Now()
		err := p.connect(ctx, faults)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the end was asked for
		}
		p.observer.Fault(err)
		if time.Since(began) > retry.Longest {
			try = 0
		}
		faults.Report(err)
		p.mu.Lock()
		p.redials++
		p.mu.Unlock()
		if !retry.Sleep(ctx, retry.Wait(try)) {
			return nil
		}
	}
}

// connect makes one connection and serves it; it returns why it ended.
func (p *Publisher) connect(ctx context.Context, faults *retry.Faults) error {
	s := newSession(p)
	options, err := p.options(s)
	if err != nil {
		return err
	}
	options.SetWill(p.root+TopicAvailability, "offline", 1, true)
	s.client = paho.NewClient(options)
	token := s.client.Connect()
	select {
	case <-token.Done():
	case <-ctx.Done():
		s.client.Disconnect(0)
		return ctx.Err()
	}
	if err := token.Error(); err != nil {
		return fmt.Errorf("connect to %s: %w", p.settings.Broker, err)
	}
	faults.Over()
	return s.serve(ctx)
}

// Try connects once, says OK to the observer, publishes nothing, and leaves. Its
// client id must not be the agent's own, or the broker would throw that out.
func Try(ctx context.Context, settings config.MQTT, root string, log *slog.Logger, observer Observer) error {
	p := New(settings, root, nil, NewMemory(1), log, observer)
	options, err := p.options(newSession(p))
	if err != nil {
		return err
	}
	client := paho.NewClient(options)
	defer client.Disconnect(0)
	token := client.Connect()
	select {
	case <-token.Done():
	case <-ctx.Done():
		return fmt.Errorf("connect to %s: %w", settings.Broker, ctx.Err())
	}
	if err := token.Error(); err != nil {
		return fmt.Errorf("connect to %s: %w", settings.Broker, err)
	}
	observer.OK()
	return nil
}

func (p *Publisher) options(s *session) (*paho.ClientOptions, error) {
	c := p.settings
	o := paho.NewClientOptions().
		AddBroker(c.Broker).
		SetClientID(c.ClientID).
		SetCleanSession(true).
		SetAutoReconnect(false).
		SetConnectRetry(false).
		SetOrderMatters(false).
		SetConnectTimeout(dialTimeout).
		SetWriteTimeout(writeTimeout).
		SetKeepAlive(c.KeepAlive).
		SetPingTimeout(c.KeepAlive / 2).
		SetProtocolVersion(4).
		SetStore(s.ledger).
		SetConnectionLostHandler(func(_ paho.Client, err error) { s.lost <- err })
	if c.Username != "" {
		o.SetUsername(c.Username)
	}
	if c.PasswordFile != "" {
		password, err := Secret(c.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("mqtt.password_file: %w", err)
		}
		o.SetPassword(password)
	}
	tls, err := tlsConfig(c.CAFile)
	if err != nil {
		return nil, err
	}
	return o.SetTLSConfig(tls), nil
}

// session is a connection over the wire. Only its own goroutine touches it,
// except for the ledger and lost.
type session struct {
	publisher *Publisher
	client    paho.Client
	ledger    *ledger
	lost      chan error
}

func newSession(p *Publisher) *session {
	return &session{publisher: p, ledger: newLedger(), lost: make(chan error, 1)}
}

// Publish hands a message to paho, whose token is of no use: see ledger.
func (s *session) Publish(topic string, retained bool, payload []byte) (id uint16) {
	if token, ok := s.client.Publish(topic, 1, retained, payload).(*paho.PublishToken); ok {
		return token.MessageID()
	}
	return 0
}

func (s *session) serve(ctx context.Context) error {
	p := s.publisher
	c := p.Connect(s)
	defer s.close(c)
	p.observer.OK()
	again := time.NewTimer(0)
	defer again.Stop()
	reported := time.Time{}
	for {
		p.observer.Beat()
		c.Acknowledge(s.ledger.take())
		if err := c.Step(); err != nil {
			return err
		}
		if p.Backlog() {
			again.Reset(time.Second / time.Duration(p.settings.HistoryRate))
		} else {
			again.Reset(idle)
		}
		if time.Since(reported) > time.Second {
			reported = time.Now()
			p.observer.Count(p.Counters())
		}
		select {
		case <-ctx.Done():
			s.leave(c)
			return ctx.Err()
		case err := <-s.lost:
			return fmt.Errorf("connection to %s lost: %w", p.settings.Broker, orUnknown(err))
		case <-p.news:
		case <-s.ledger.news:
		case <-again.C:
		}
	}
}

func orUnknown(err error) error {
	if err == nil {
		return errors.New("no reason given")
	}
	return err
}

// close ends the connection; an acknowledgement that has come counts still.
func (s *session) close(c *Connection) {
	const flush = 100 // milliseconds for the DISCONNECT packet to leave
	s.client.Disconnect(flush)
	c.Acknowledge(s.ledger.take())
	c.End()
}

// leave says goodbye on purpose: the will is for accidents.
func (s *session) leave(c *Connection) {
	c.Leave()
	deadline := time.NewTimer(goodbye)
	defer deadline.Stop()
	for c.Unacknowledged() > 0 {
		select {
		case <-deadline.C:
			return
		case <-s.lost: //nolint:errcheck // the reason does not matter to who leaves
			return
		case <-s.ledger.news:
			c.Acknowledge(s.ledger.take())
		}
	}
}
