package delivery

import (
	"encoding/json"
	"fmt"
	"time"

	"meltwatch/agent/message"
)

// Two agents with one identity, for example on a cloned box, would disconnect each
// other again and again and mix their records. Each receives the other's messages on
// the health topic. It then reports the conflict and connects under another client id,
// so that both stay connected and an operator can tell them apart.

// otherGone is how long after its last message another agent counts as gone: it
// publishes health every ten seconds.
const otherGone = time.Minute

// other is another agent with our identity.
type other struct {
	boot     uint64
	instance string
	seen     time.Time // zero if there was none
	reported bool      // an event reported it
}

func (o other) present() bool { return !o.seen.IsZero() && time.Since(o.seen) < otherGone }

// Error names the fault and the remedy.
func (o other) Error() string {
	return fmt.Sprintf("another agent (boot %d, instance %s) publishes as this one: give each furnace a name of its own, or stop the other", o.boot, o.instance)
}

// onHealth handles a message on our own health topic. A retained one may come from an
// earlier process, unless this one has published health since: published reports
// whether it has.
func (p *Publisher) onHealth(payload []byte, retained, published bool) {
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
		p.echo.received = true
		p.mu.Unlock()
		return
	}
	if retained && !published {
		return
	}
	p.mu.Lock()
	known := p.other.present()
	p.other = other{h.Boot, h.Instance, time.Now(), true}
	cause := p.other.Error()
	p.mu.Unlock()
	if !known {
		p.log.Warn("agent identity changed", "to", "shared", "cause", cause)
		p.identityEvent("shared", cause)
	}
}

// checkOther reports another agent, and its end, to the observer.
func (p *Publisher) checkOther() {
	p.mu.Lock()
	o := p.other
	gone := o.reported && !o.present()
	if gone {
		p.other = other{}
	}
	p.mu.Unlock()
	switch {
	case o.present():
		p.observer.Fault(o)
	case gone:
		p.observer.OK()
		cause := "no message from the other agent for " + otherGone.String()
		p.log.Info("agent identity changed", "to", "alone", "cause", cause)
		p.identityEvent("alone", cause)
	}
}

func (p *Publisher) identityEvent(to, cause string) {
	p.Event(message.Event{Stamp: p.stamper.Stamp(string(message.ClassEvent), time.Now()), Kind: "identity", Subject: "agent", To: to, Cause: cause})
}

// clientID is the configured client id, or one unique to this process while another
// agent uses the configured one.
func (p *Publisher) clientID() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.other.present() {
		return p.settings.ClientID
	}
	return p.settings.ClientID + "-" + p.stamper.Instance()[:min(8, len(p.stamper.Instance()))]
}
