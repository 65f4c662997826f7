package delivery

import (
	"encoding/json"
	"fmt"
	"time"

	"meltwatch/agent/message"
)

// Two agents with one identity, a cloned box perhaps, would throw each other out
// of the broker for ever and mix their records. Each hears the other on the health
// topic, which both publish, says so, and connects under a client id of its own
// from then on: so both stay, and an operator can tell them apart.

// otherGone is how long after its last word another agent counts as gone: it
// speaks every ten seconds.
const otherGone = time.Minute

// other is another agent of our identity.
type other struct {
	boot     uint64
	instance string
	seen     time.Time // zero: none was ever
	told     bool      // an event said so
}

func (o other) present() bool { return !o.seen.IsZero() && time.Since(o.seen) < otherGone }

// Error says what is wrong and what to do.
func (o other) Error() string {
	return fmt.Sprintf("another agent (boot %d, instance %s) publishes as this one: give each furnace a name of its own, or stop the other", o.boot, o.instance)
}

// onHealth takes a message on our own health topic. One that was retained may
// be a predecessor's, unless we have published since: spoken says so.
func (p *Publisher) onHealth(payload []byte, retained, spoken bool) {
	if p.isProbe(payload) {
		return
	}
	var h struct {
		Boot     uint64 `json:"boot"`
		Instance string `json:"instance"`
	}
	if json.Unmarshal(payload, &h) != nil || h.Instance == "" {
		return
	}
	if h.Instance == p.stamper.Instance() {
		p.mu.Lock()
		p.echo.heard = true
		p.mu.Unlock()
		return
	}
	if retained && !spoken {
		return
	}
	p.mu.Lock()
	known := p.other.present()
	p.other = other{h.Boot, h.Instance, time.Now(), true}
	cause := p.other.Error()
	p.mu.Unlock()
	if !known {
		p.identityEvent("shared", cause)
	}
}

// checkOther tells the observer about another agent, and when it is gone.
func (p *Publisher) checkOther() {
	p.mu.Lock()
	o := p.other
	gone := o.told && !o.present()
	if gone {
		p.other = other{}
	}
	p.mu.Unlock()
	switch {
	case o.present():
		p.observer.Fault(o)
	case gone:
		p.observer.OK()
		p.identityEvent("alone", "the other agent has not been heard for "+otherGone.String())
	}
}

func (p *Publisher) identityEvent(to, cause string) {
	p.log.Warn("identity", "to", to, "cause", cause)
	p.Event(message.Event{Stamp: p.stamper.Stamp(string(message.ClassEvent), time.Now()), Kind: "identity", Subject: "agent", To: to, Cause: cause})
}

// clientID is the configured one, or one of this process alone while another
// agent uses that.
func (p *Publisher) clientID() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.other.present() {
		return p.settings.ClientID
	}
	return p.settings.ClientID + "-" + p.stamper.Instance()[:min(8, len(p.stamper.Instance()))]
}
