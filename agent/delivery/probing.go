package delivery

import (
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"meltwatch/agent/message"
)

// A broker may acknowledge a message that is too large for it and throw it away
// (mosquitto's message_size_limit). So before history goes in large packs, the agent
// publishes messages of growing size to itself: what comes back passes.

// mostPack is more than a pack of history, in bytes.
const mostPack = 8 << 10

// probing is the probe under way; its size is 0 while there is none.
type probing struct {
	size  int
	text  string
	acked time.Time
	back  bool
}

// silentLimit is a broker that throws large messages away.
type silentLimit struct {
	broker string
	size   int
}

// Error says what to do.
func (e *silentLimit) Error() string {
	return fmt.Sprintf("%s acknowledges a message of %d bytes and throws it away: history goes in smaller ones, a single larger one is lost; raise the broker's largest message (mosquitto: message_size_limit) to %d bytes or more",
		e.broker, e.size, 2*mostPack)
}

// beginProbing begins a connection on which our own messages come back.
func (l *brokerLimit) beginProbing() {
	l.probed = l.heard >= mostPack || l.silent > 0 && time.Since(l.silentAt) < latestAgain
	l.heard = max(l.heard, leastPack)
}

// probeLost ends the probing at a size that did not come back. Where none did, the
// size is not the cause, and what others are told of an access list holds.
func (l *brokerLimit) probeLost(size int) {
	l.probed = true
	if l.cameBack {
		l.silent, l.silentAt = size, time.Now()
		return
	}
	l.heard = mostPack
}

// wantsProbe reports whether history waits for what the probing finds out.
func (l *brokerLimit) wantsProbe() bool { return l.wanting && !l.probed }

// nextProbe is the size of the next probe.
func (l *brokerLimit) nextProbe() int {
	if !l.cameBack {
		return leastPack
	}
	return min(2*l.heard, mostPack)
}

// probeText is a message to ourselves of a whole size in bytes with its topic. It
// names no instance, so agents and meltctl pass it over.
func probeText(root string, size int) string {
	text := fmt.Sprintf(`{"v":1,"probe":%q,"fill":"`, rand.Text())
	const end = `"}`
	return text + strings.Repeat("x", max(0, size-len(root)-len(message.TopicHealth)-len(text)-len(end))) + end
}

// endProbing judges a probe with which the last connection ended: a broker may
// acknowledge it, throw it away and then close.
func (p *Publisher) endProbing() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.probing; s.size > 0 && !s.acked.IsZero() && !s.back && p.limit.cameBack {
		p.limit.probeLost(s.size)
	}
	p.probing = probing{}
}

// beginProbing is called where a connection begins on which we hear ourselves, or
// do not.
func (p *Publisher) beginProbing() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.echo.deaf {
		p.limit.beginProbing()
	}
}

// probe takes the probing on by a step.
func (c *Connection) probe() {
	p := c.publisher
	p.mu.Lock()
	l, s := p.limit, &p.probing
	text := ""
	switch {
	case s.size == 0 && l.wantsProbe():
		if c.drains() { // a broker that closes the connection at the probe loses none of it
			break
		}
		size := l.nextProbe()
		if l.pack > 0 && size > l.pack { // the broker is known to close the connection there
			l.probed = true
			break
		}
		text = probeText(p.root, size)
		*s = probing{size: size, text: text}
	case s.back:
		l.heard, l.cameBack, l.silent = s.size, true, 0
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

// drains reports whether history is on its way.
func (c *Connection) drains() bool {
	for _, m := range c.inFlight {
		if strings.HasPrefix(m.topic, message.TopicHistory) {
			return true
		}
	}
	return false
}

// isProbe reports whether a message is the probe under way.
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
