package delivery

import (
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"meltwatch/agent/message"
)

// A broker may acknowledge a message above its size limit and discard it (mosquitto's
// message_size_limit). Before history is sent in large packs, the agent therefore
// publishes messages of growing size to itself, and uses the sizes that come back.

// mostPack is larger than any pack of history, in bytes.
const mostPack = 8 << 10

// probing is the current probe; its size is 0 if there is none.
type probing struct {
	size  int
	text  string
	acked time.Time
	back  bool
}

// silentLimit is the error of a broker that discards large messages.
type silentLimit struct {
	broker string
	size   int
}

// Error names the limit and the remedy.
func (e *silentLimit) Error() string {
	return fmt.Sprintf("%s acknowledges a message of %d bytes and discards it: history is sent in smaller ones, and a larger single record is lost; raise the broker's largest message (mosquitto: message_size_limit) to %d bytes or more",
		e.broker, e.size, 2*mostPack)
}

// beginProbing starts probing on a connection on which our own messages come back.
func (l *brokerLimit) beginProbing() {
	l.probed = l.delivered >= mostPack || l.silent > 0 && time.Since(l.silentAt) < maxRetry
	l.delivered = max(l.delivered, leastPack)
}

// probeLost ends probing at a size that did not come back. If no probe came back, the
// size is not the cause, and the fault of the access list stands.
func (l *brokerLimit) probeLost(size int) {
	l.probed = true
	if l.cameBack {
		l.silent, l.silentAt = size, time.Now()
		return
	}
	l.delivered = mostPack
}

// wantsProbe reports whether history waits for the result of probing.
func (l *brokerLimit) wantsProbe() bool { return l.wanting && !l.probed }

// nextProbe is the size of the next probe.
func (l *brokerLimit) nextProbe() int {
	if !l.cameBack {
		return leastPack
	}
	return min(2*l.delivered, mostPack)
}

// probeText is a message to ourselves; size is in bytes and includes the topic. It
// names no instance, so agents and meltctl ignore it.
func probeText(root string, size int) string {
	text := fmt.Sprintf(`{"v":1,"probe":%q,"fill":"`, rand.Text())
	const end = `"}`
	return text + strings.Repeat("x", max(0, size-len(root)-len(message.TopicHealth)-len(text)-len(end))) + end
}

// endProbing evaluates a probe that was unanswered when the last connection ended: a
// broker may acknowledge it, discard it and then close.
func (p *Publisher) endProbing() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.probing; s.size > 0 && !s.acked.IsZero() && !s.back && p.limit.cameBack {
		p.limit.probeLost(s.size)
	}
	p.probing = probing{}
}

// beginProbing is called at the start of a connection. It probes unless the broker
// denied reading our own topics.
func (p *Publisher) beginProbing() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.echo.denied {
		p.limit.beginProbing()
	}
}

// probe does one step of probing.
func (c *Connection) probe() {
	p := c.publisher
	p.mu.Lock()
	l, s := p.limit, &p.probing
	text := ""
	switch {
	case s.size == 0 && l.wantsProbe():
		if c.sendingHistory() { // if the broker closes the connection at the probe, no history is in flight
			break
		}
		size := l.nextProbe()
		if l.pack > 0 && size > l.pack { // the broker closes the connection at this size
			l.probed = true
			break
		}
		text = probeText(p.root, size)
		*s = probing{size: size, text: text}
	case s.back:
		l.delivered, l.cameBack, l.silent = s.size, true, 0
		l.probed = s.size >= mostPack
		*s = probing{}
		p.wake()
	case s.size > 0 && !s.acked.IsZero() && time.Since(s.acked) > echoTimeout:
		l.probeLost(s.size)
		*s = probing{}
	}
	p.mu.Unlock()
	if text != "" {
		key := c.publish(message.TopicHealth, false, []byte(text), nil)
		m := c.inFlight[key]
		m.probe = true
		c.inFlight[key] = m
	}
}

// sendingHistory reports whether a message of history is in flight.
func (c *Connection) sendingHistory() bool {
	for _, m := range c.inFlight {
		if strings.HasPrefix(m.topic, message.TopicHistory) {
			return true
		}
	}
	return false
}

// isProbe reports whether a message is the current probe.
func (p *Publisher) isProbe(payload []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.probing.size == 0 || string(payload) != p.probing.text {
		return false
	}
	p.probing.back = true
	p.wake()
	return true
}
