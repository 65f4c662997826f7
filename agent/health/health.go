// Package health knows how every part of the agent fares, for the operator and
// for systemd.
//
// A part beats each time its loop comes round, whether what it tried succeeded
// or not: a bounded error is progress, being stuck is not. systemd's watchdog is
// fed only while every part has beaten within its own limit, so that an outage of
// meter, camera or broker restarts nothing and a deadlock does.
package health

import (
	"sync"
	"time"
)

// Part is one part's record. Its methods may be called from any goroutine.
type Part struct {
	registry *Registry
	limit    time.Duration

	// guarded by registry.mu
	state Status
	beat  time.Time
	fault error // the last one
}

// Status is how a part fares, as published.
type Status struct {
	// Status is "ok", "fault", or "starting" before the first word.
	Status string `json:"status"`
	// Since is when Status last changed.
	Since time.Time `json:"since"`
	// Error is the last fault in words; it stays after the fault is over.
	Error string `json:"last_error,omitempty"`
	// Degraded lists what the part is currently missing, each with the reason.
	Degraded []string `json:"degraded,omitempty"`
	// Manners lists unusual behaviour of the part's device that the agent has adapted
	// to.
	Manners []string `json:"manners,omitempty"`
	// Counters are the part's own, by name.
	Counters map[string]uint64 `json:"counters,omitempty"`
}

// Registry holds all parts.
type Registry struct {
	mu    sync.Mutex
	parts map[string]*Part
}

// NewRegistry returns an empty registry.
func NewRegistry() *Registry { return &Registry{parts: map[string]*Part{}} }

// Add adds a part whose loop comes round within limit.
func (r *Registry) Add(name string, limit time.Duration) *Part {
	p := r.New(limit)
	r.Put(name, p)
	return p
}

// Beat says that the part's loop came round.
func (p *Part) Beat() {
	p.registry.mu.Lock()
	defer p.registry.mu.Unlock()
	p.beat = time.Now()
}

// OK says that the part does its work.
func (p *Part) OK() { p.set("ok", "") }

// Fault says what keeps the part from its work.
func (p *Part) Fault(err error) {
	p.set("fault", err.Error())
	p.registry.mu.Lock()
	defer p.registry.mu.Unlock()
	p.fault = err
}

// Status is how the part is now.
func (p *Part) Status() Status {
	p.registry.mu.Lock()
	defer p.registry.mu.Unlock()
	return p.state
}

// LastFault is the newest fault that was told, over or not; nil before the first.
func (p *Part) LastFault() error {
	p.registry.mu.Lock()
	defer p.registry.mu.Unlock()
	return p.fault
}

func (p *Part) set(status, message string) {
	p.registry.mu.Lock()
	defer p.registry.mu.Unlock()
	if p.state.Status != status {
		p.state.Status, p.state.Since = status, time.Now()
	}
	if message != "" {
		p.state.Error = message
	}
}

// Count replaces the part's counters; the map must not be changed afterwards.
func (p *Part) Count(counters map[string]uint64) {
	p.registry.mu.Lock()
	defer p.registry.mu.Unlock()
	p.state.Counters = counters
}

// Remark replaces Degraded and Manners; the slices must not be changed afterwards.
func (p *Part) Remark(degraded, manners []string) {
	p.registry.mu.Lock()
	defer p.registry.mu.Unlock()
	p.state.Degraded, p.state.Manners = degraded, manners
}

// Snapshot is every part's status by name.
func (r *Registry) Snapshot() map[string]Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make(map[string]Status, len(r.parts))
	for name, p := range r.parts {
		out[name] = p.state
	}
	return out
}

// Stuck names the parts whose loops have not come round within their limits.
func (r *Registry) Stuck() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var stuck []string
	for name, p := range r.parts {
		if time.Since(p.beat) > p.limit {
			stuck = append(stuck, name)
		}
	}
	return stuck
}
