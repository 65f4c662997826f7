package delivery

import (
	"time"

	"meltwatch/agent/message"
	"meltwatch/agent/mqtt"
)

// A broker whose access list denies a topic still acknowledges the message, and
// discards it. The agent therefore subscribes to its own health: a message that does
// not come back was not delivered.

const (
	// echoTimeout is how long the broker may take to deliver our own health to us.
	echoTimeout = 10 * time.Second
	// assertEvery is the least interval between corrections of availability: two
	// clients that contradict each other must not flood the broker.
	assertEvery = 5 * time.Second
)

// echo tracks whether our own messages come back on one connection.
type echo struct {
	acked    time.Time // when health was first acknowledged; zero before
	received bool      // our own health came back
	denied   bool      // the broker refused the subscription
	offline  bool      // a message other than online arrived on availability
}

// missing reports whether our own health should have come back.
func (e echo) missing() bool {
	return !e.received && !e.denied && !e.acked.IsZero() && time.Since(e.acked) > echoTimeout
}

// onAvailability handles a message on our own availability topic: another client's
// will, or a forged message, may have published offline.
func (p *Publisher) onAvailability(_ string, payload []byte, _ bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.echo.offline = string(payload) != message.Online
}

// checkBroker reports the broker's faults, and their end, to the observer. It also
// corrects availability.
func (p *Publisher) checkBroker() {
	p.mu.Lock()
	if p.echo.offline && p.settings.Retain && time.Since(p.announced) > assertEvery {
		p.echo.offline, p.announced = false, time.Now()
		p.retained[message.TopicAvailability], p.changed[message.TopicAvailability] = []byte(message.Online), true
		p.wake()
	}
	if p.limit.retry(); p.kept != nil && p.limit.refused == 0 {
		p.release()
		p.wake()
	}
	var fault error
	if p.echo.missing() {
		p.limit.wanting = true // the size may be the cause, not the access list
	}
	switch {
	case p.limit.silent > 0:
		fault = &silentLimit{p.broker, p.limit.silent}
	case p.echo.missing():
		fault = mqtt.NotDelivered(p.broker, p.root+message.TopicHealth)
	case p.kept != nil:
		fault = p.kept
	}
	over := fault == nil && p.faulty
	began := fault != nil && !p.faulty
	p.faulty = fault != nil
	p.mu.Unlock()
	if began {
		p.log.Warn("broker does not deliver", "err", fault)
	}
	switch {
	case fault != nil:
		p.observer.Fault(fault)
	case over:
		p.observer.OK()
	}
}
