package mqtt

import (
	"context"
	"errors"
	"fmt"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"meltwatch/agent/message"
	"meltwatch/config"
)

const (
	// idle is how often a connection with nothing to send looks after itself.
	idle    = 500 * time.Millisecond
	goodbye = 500 * time.Millisecond
)

// session is a connection over the wire. Only its own goroutine touches it,
// except for the ledger and lost.
type session struct {
	publisher *Publisher
	broker    config.Named
	client    paho.Client
	ledger    *ledger
	ears      *ears
	lost      chan error
	trial     bool // of check, beside the agent
}

func newSession(p *Publisher, broker config.Named) *session {
	return &session{publisher: p, broker: broker, ledger: newLedger(), ears: newEars(), lost: make(chan error, 1)}
}

// String names the broker, for errors.
func (s *session) String() string {
	if s.broker.Name == "" {
		return s.broker.URL
	}
	return s.broker.Name + " at " + s.broker.URL
}

// Publish hands a message to paho, whose token is of no use: see ledger.
func (s *session) Publish(topic string, retained bool, payload []byte) (id uint16) {
	retained = retained && s.publisher.settings.Retain
	if token, ok := s.client.Publish(topic, 1, retained, payload).(*paho.PublishToken); ok {
		return token.MessageID()
	}
	return 0
}

func (s *session) serve(ctx context.Context) error {
	p := s.publisher
	p.mu.Lock()
	p.echo = echo{}
	p.mu.Unlock()
	if err := s.hearOthers(ctx); err != nil {
		s.client.Disconnect(0)
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.subscribe(ctx)
	p.endSounding()
	p.useBroker(s.String(), s.broker.URL)
	p.beginSounding()
	c := p.Connect(s)
	defer s.close(c)
	p.observer.OK()
	again := time.NewTimer(0)
	defer again.Stop()
	renew := time.NewTicker(p.renewEvery)
	defer renew.Stop()
	reported := time.Time{}
	for {
		p.observer.Beat()
		c.Acknowledge(s.ledger.take())
		if err := c.Step(); err != nil {
			return err
		}
		c.sound()
		if p.Backlog() {
			again.Reset(time.Second / time.Duration(p.settings.HistoryRate))
		} else {
			again.Reset(idle)
		}
		if time.Since(reported) > time.Second {
			reported = time.Now()
			p.observer.Count(p.Counters())
			p.checkOther()
			p.checkBroker()
		}
		select {
		case <-ctx.Done():
			s.leave(c)
			return ctx.Err()
		case err := <-s.lost:
			return fmt.Errorf("connection to %s lost: %w", s, orUnknown(err))
		case <-p.news:
		case <-s.ledger.news:
		case <-again.C:
		case <-renew.C:
			s.subscribe(ctx)
		}
	}
}

// hearOthers subscribes to our own health, before the birth, so that nothing said
// in answer to that is missed. A broker that does not let us read is borne:
// delivery matters more.
func (s *session) hearOthers(ctx context.Context) error {
	p := s.publisher
	p.mu.Lock()
	spoken := p.spoken
	p.mu.Unlock()
	topic := p.root + message.TopicHealth
	token := s.client.Subscribe(topic, 1, func(_ paho.Client, m paho.Message) { p.hearHealth(m.Payload(), m.Retained(), spoken) })
	deadline := time.NewTimer(ackTimeout)
	defer deadline.Stop()
	select {
	case <-token.Done():
	case <-deadline.C:
		return fmt.Errorf("subscribe at %s: no answer within %s", s, ackTimeout)
	case <-ctx.Done():
		return ctx.Err()
	}
	s.ledger.take() // the subscription's own
	if err := token.Error(); err != nil {
		return fmt.Errorf("subscribe at %s: %w", s, err)
	}
	const refused = 0x80
	if t, ok := token.(*paho.SubscribeToken); ok && t.Result()[topic] == refused {
		p.log.Warn("broker does not let us read our own topics: neither another agent of our name nor a denied topic would be seen", "topic", topic)
		p.mu.Lock()
		p.echo.deaf = true
		p.mu.Unlock()
	}
	return nil
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
