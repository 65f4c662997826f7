package health

import "time"

// New returns a record that is not in the registry yet: a part on trial has one besides
// the record of the part that it may replace.
func (r *Registry) New(limit time.Duration) *Part {
	now := time.Now()
	return &Part{registry: r, limit: limit, beat: now, state: Status{Status: "starting", Since: now}}
}

// Put adds a record to the registry, or replaces the one with this name. It counts as a
// beat, because a record outside the registry may not have beaten for long.
func (r *Registry) Put(name string, p *Part) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p.beat = time.Now()
	r.parts[name] = p
}

// Remove removes a record from the registry.
func (r *Registry) Remove(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.parts, name)
}
