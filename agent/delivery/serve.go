package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"meltwatch/agent/message"
	"meltwatch/agent/mqtt"
)

const (
	// idle is the interval of the steps of a connection with nothing to send.
	idle = 500 * time.Millisecond
	// goodbye is how long the acknowledgement of the last messages may take, flush how
	// long the DISCONNECT packet may take to be sent.
	goodbye = 500 * time.Millisecond
	flush   = 100 * time.Millisecond
)

// serve sends and receives over a session until it is lost or ctx ends.
func (p *Publisher) serve(ctx context.Context, s *mqtt.Session, url string) error {
	p.mu.Lock()
	p.echo = echo{}
	p.mu.Unlock()
	if err := p.subscribeHealth(ctx, s); err != nil {
		s.Close(0)
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.Listen(ctx, p.handlers())
	p.endProbing()
	p.useBroker(s.String(), url)
	p.beginProbing()
	c := p.Connect(s)
	defer c.close(s)
	p.observer.OK()
	again := time.NewTimer(0)
	defer again.Stop()
	renew := time.NewTicker(p.renewEvery)
	defer renew.Stop()
	reported := time.Time{}
	for {
		p.observer.Beat()
		c.Acknowledge(s.Acks())
		if err := c.Step(); err != nil {
			return err
		}
		c.probe()
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
			c.goodbye(s)
			return ctx.Err()
		case err := <-s.Lost():
			return s.LostError(err)
		case <-p.wakeup:
		case <-s.Acked():
		case <-again.C:
		case <-renew.C:
			s.Listen(ctx, p.handlers())
		}
	}
}

// subscribeHealth subscribes to our own health before availability is published, so
// that no reply is missed. If the broker denies it, delivery goes on without it.
func (p *Publisher) subscribeHealth(ctx context.Context, s *mqtt.Session) error {
	p.mu.Lock()
	published := p.healthAcked
	p.mu.Unlock()
	err := s.Subscribe(ctx, message.TopicHealth, func(_ string, payload []byte, retained bool) { p.onHealth(payload, retained, published) })
	s.Acks() // discard the acknowledgement of the subscription
	if errors.Is(err, mqtt.ErrDenied) {
		p.log.Warn("broker denies reading our own topics: another agent of this name and a denied topic stay undetected", "topic", p.root+message.TopicHealth)
		p.mu.Lock()
		p.echo.denied = true
		p.mu.Unlock()
		return nil
	}
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("subscribe at %s: %w", s, err)
	}
	return err
}

// close ends the connection. Acknowledgements that have arrived still count.
func (c *Connection) close(s *mqtt.Session) {
	s.Close(flush)
	c.Acknowledge(s.Acks())
	c.End()
}

// goodbye publishes offline, because the broker publishes the will only after an
// unplanned end.
func (c *Connection) goodbye(s *mqtt.Session) {
	c.Leave()
	deadline := time.NewTimer(goodbye)
	defer deadline.Stop()
	for c.Unacknowledged() > 0 {
		select {
		case <-deadline.C:
			return
		case <-s.Lost(): //nolint:errcheck // the connection ends anyway
			return
		case <-s.Acked():
			c.Acknowledge(s.Acks())
		}
	}
}
