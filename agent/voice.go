package main

import (
	"maps"
	"sync"

	"meltwatch/agent/delivery"
	"meltwatch/agent/mqtt"
)

// voice is the publisher that counts at the moment. Another broker's may be on
// trial beside it; records go to this one alone.
type voice struct {
	mu       sync.Mutex
	now      *delivery.Publisher
	hears    map[string]mqtt.Handler
	retained map[string][]byte // beside state and health
}

func newVoice() *voice {
	return &voice{hears: map[string]mqtt.Handler{}, retained: map[string][]byte{}}
}

// hear is to be called before the first publisher is dressed.
func (v *voice) hear(topic string, handle func(topic string, payload []byte)) {
	v.hearFlagged(topic, func(topic string, payload []byte, _ bool) { handle(topic, payload) })
}

// hearFlagged is hear with a handler that also learns whether the broker retained the
// message.
func (v *voice) hearFlagged(topic string, handle mqtt.Handler) { v.hears[topic] = handle }

// dress prepares a publisher to take over.
func (v *voice) dress(p *delivery.Publisher) {
	v.mu.Lock()
	retained := maps.Clone(v.retained)
	v.mu.Unlock()
	for topic, handle := range v.hears {
		p.HearFlagged(topic, handle)
	}
	for topic, payload := range retained {
		p.Retain(topic, payload)
	}
}

// turn makes p the publisher that counts.
func (v *voice) turn(p *delivery.Publisher) {
	v.dress(p)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.now = p
}

func (v *voice) publisher() *delivery.Publisher {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.now
}

// Retain publishes a retained topic, now and after every turn.
func (v *voice) Retain(topic string, payload []byte) {
	v.mu.Lock()
	v.retained[topic] = payload
	now := v.now
	v.mu.Unlock()
	now.Retain(topic, payload)
}

// gate is the outbox as one publisher sees it. Until it is opened every call
// waits, as on a disk that hangs: another publisher still owns the outbox.
type gate struct {
	mu     sync.Mutex
	behind delivery.Outbox
	opened chan struct{}
}

func newGate() *gate { return &gate{opened: make(chan struct{})} }

// open lets calls through; a second time it changes what they reach.
func (g *gate) open(behind delivery.Outbox) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.behind == nil {
		close(g.opened)
	}
	g.behind = behind
}

func (g *gate) through() delivery.Outbox {
	<-g.opened
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.behind
}

// Append and the others are delivery.Outbox's.
func (g *gate) Append(class string, payload []byte) uint64 { return g.through().Append(class, payload) }

// Take takes waiting records.
func (g *gate) Take(class string, most int) ([]uint64, [][]byte) {
	return g.through().Take(class, most)
}

// Return lets go of records.
func (g *gate) Return(class string, numbers []uint64) { g.through().Return(class, numbers) }

// Ack ends records.
func (g *gate) Ack(class string, numbers []uint64) { g.through().Ack(class, numbers) }

// Sync makes records durable.
func (g *gate) Sync() { g.through().Sync() }

// Counters count records.
func (g *gate) Counters() map[string]uint64 { return g.through().Counters() }
