// Package health holds the status of every part of the agent, for the operator and for
// systemd.
//
// A part beats in each iteration of its loop, whether the iteration succeeded or not: a
// fault is progress, being stuck is not. systemd's watchdog is fed only while every
// part has beaten within its limit. An outage of meter, camera or broker therefore does
// not restart the agent, and a deadlock does.
package health

import (
	"sync"
	"time"
)

// Part is the record of one part. Its methods are safe for concurrent use.
type Part struct {
	registry *Registry
	limit    time.Duration

	// guarded by registry.mu
	state Status
	beat  time.Time
	fault error // the last one
}

// Status is the published status of a part.
type Status struct {
	// Status is "ok", "fault", or "starting" before the first report.
	Status string `json:"status"`
	// Since is when Status last changed.
	Since time.Time `json:"since"`
	// Error describes the last fault; it stays after the fault has ended.
	Error string `json:"last_error,omitempty"`
	// Degraded lists what the part lacks at the moment, with the reasons.
	Degraded []string `json:"degraded,omitempty"`
	// Manners lists unusual behaviour of the part's device that the agent has adapted
	// to.
	Manners []string `json:"manners,omitempty"`
	// Counters are the part's counters, by name.
	Counters map[string]uint64 `json:"counters,omitempty"`
}

// Registry holds all parts.
type Registry struct {
	mu    sync.Mutex
	parts map[string]*Part
}

// NewRegistry returns an empty registry.
func NewRegistry() *Registry { return &Registry{parts: map[string]*Part{}} }

// Add adds a part whose loop iterates within limit.
func (r *Registry) Add(name string, limit time.Duration) *Part {
	p := r.New(limit)
	r.Put(name, p)
	return p
}

// Beat records an iteration of the part's loop.
func (p *Part) Beat() {
	p.registry.mu.Lock()
	defer p.registry.mu.Unlock()
	p.beat = time.Now()
}

// OK reports that the part works.
func (p *Part) OK() { p.set("ok", "") }

// Fault reports why the part does not work.
func (p *Part) Fault(err error) {
	p.set("fault", err.Error())
	p.registry.mu.Lock()
	defer p.registry.mu.Unlock()
	p.fault = err
}

// Status returns the part's current status.
func (p *Part) Status() Status {
	p.registry.mu.Lock()
	defer p.registry.mu.Unlock()
	return p.state
}

// LastFault is the last reported fault, also if it has ended; nil before the first.
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

// Snapshot returns the status of every part, by name.
func (r *Registry) Snapshot() map[string]Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make(map[string]Status, len(r.parts))
	for name, p := range r.parts {
		out[name] = p.state
	}
	return out
}

// Stuck names the parts whose loops have not iterated within their limits.
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
