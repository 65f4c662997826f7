package delivery

import (
	"time"

	"meltwatch/agent/message"
	"meltwatch/agent/mqtt"
)

// A broker whose access list denies a topic acknowledges all the same, and throws
// the message away. The agent therefore listens for its own health: what does not
// come back has not arrived.

const (
	// echoTimeout is how long the broker may take to hand our own health back.
	echoTimeout = 10 * time.Second
	// assertEvery is how often availability is set right at most: two that contradict
	// each other must not flood the broker.
	assertEvery = 5 * time.Second
)

// echo is what is known of our own messages' way back, on one connection.
type echo struct {
	acked   time.Time // when health was first acknowledged; zero before
	heard   bool      // our own health came back
	deaf    bool      // the broker refused the subscription
	offline bool      // availability was heard to be other than online
}

// missing reports whether our own health should have come back.
func (e echo) missing() bool {
	return !e.heard && !e.deaf && !e.acked.IsZero() && time.Since(e.acked) > echoTimeout
}

// onAvailability takes a message on our own availability: another's will, or a
// forged one, may have said offline.
func (p *Publisher) onAvailability(_ string, payload []byte, _ bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.echo.offline = string(payload) != message.Online
}

// checkBroker tells the observer what the broker does not do, and when it does it
// again; it sets availability right.
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
		p.limit.wanting = true // it may be the size, not the access list
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
		p.log.Warn("broker", "err", fault)
	}
	switch {
	case fault != nil:
		p.observer.Fault(fault)
	case over:
		p.observer.OK()
	}
}
